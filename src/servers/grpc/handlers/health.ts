import type { healthCheckRequest, healthCheckResponse } from '#formats/protobuf/schemas/health-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import { AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'
import type { GrpcContext } from '../context.ts'
import type { At } from '../route.ts'
import { servedFiles, serviceNamesOf } from '../served-files.ts'

/** How often somebody who watches is told of a change, at most. */
const lookMs = 500

type Request = ValueOf<typeof healthCheckRequest>
type Response = InputOf<typeof healthCheckResponse>
type Status = NonNullable<Response['status']>

const services = new Set(['', ...servedFiles.flatMap(serviceNamesOf)])

/** Whether a service, or all of the server when none is named, is of use. Throws `ROUTE_NOT_FOUND` for others. */
export async function checkHealth({ service }: Request, { context }: At): Promise<Response> {
  const status = statusOf(service, context)
  if (status !== 'SERVICE_UNKNOWN') return { status }
  throw new AppError('ROUTE_NOT_FOUND', `there is no service "${service.slice(0, 100)}"`)
}

/** Tells the status at once, and again whenever it is another. */
export async function watchHealth(
  { service }: Request,
  { call, context }: At,
  send: (value: Response) => Promise<void>,
): Promise<void> {
  const { signal } = call
  let told: Status | undefined
  while (!signal.aborted) {
    const status = statusOf(service, context)
    if (status !== told) await send({ status })
    told = status
    await wait(context.timers, lookMs, signal)
  }
  if (told === 'SERVING') await send({ status: 'NOT_SERVING' })
  signal.throwIfAborted()
}

function statusOf(service: string, { hub }: GrpcContext): Status {
  if (!services.has(service)) return 'SERVICE_UNKNOWN'
  return hub.fault ? 'NOT_SERVING' : 'SERVING'
}

async function wait(timers: Timers, delayMs: number, signal: AbortSignal): Promise<void> {
  using stack = new DisposableStack()
  await new Promise<void>((resolve) => {
    const onAbort = (): void => resolve()
    stack.use(timers.after(delayMs, onAbort))
    signal.addEventListener('abort', onAbort)
    stack.defer(() => signal.removeEventListener('abort', onAbort))
  })
}
