import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Appended } from '../log-hub.ts'

export type PartitionResponse = ResponseInputOf<'produce'>['responses'][number]['partitionResponses'][number]

export const noOffset = { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 }

/** A batch was taken. */
export function accepted(index: number, { baseOffset, appendTimeMs, logStartOffset }: Appended): PartitionResponse {
  return { index, errorCode: kafkaErrors.NONE, baseOffset, logAppendTimeMs: appendTimeMs, logStartOffset }
}

/** A batch was refused with an error of the log. */
export function refused(call: Call, index: number, thrown: unknown): PartitionResponse {
  return { index, ...noOffset, ...call.fault(thrown, { TRUNCATED: 'INVALID_RECORD', MALFORMED: 'INVALID_RECORD' }) }
}
