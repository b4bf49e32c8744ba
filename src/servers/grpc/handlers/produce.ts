import { appendRecords, type ProduceRequest, type ProduceResponse } from '../appending.ts'
import type { At } from '../route.ts'

export async function produce(request: ProduceRequest, { call, context }: At): Promise<ProduceResponse> {
  return await appendRecords(request, { context, timeoutMs: call.remainingMs })
}
