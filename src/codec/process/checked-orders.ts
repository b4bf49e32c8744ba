import type { PackedOrder } from '#codec/packaging-orders.ts'
import type { TranscodeMethod, TranscodeParams } from '#codec/transcode-orders.ts'
import type { PackageOrder, PicturesOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'

// The server holds orders against their schemas before it sends them, so that a codec process need not load what does it: see `child-messages.ts`.

/** Throws `REQUEST_INVALID` where there is none. */
export function transcodeParams<Method extends TranscodeMethod>(_method: Method, params: unknown): TranscodeParams[Method] {
  return checked<TranscodeParams[Method]>(params)
}

/** Throws `REQUEST_INVALID` where there is none. */
export function packageOrder(payload: Buffer): PackageOrder {
  const { tracks, ...order } = checked<PackedOrder>(JSON.parse(payload.toString()))
  return { ...order, tracks: tracks.map(({ track, inputs }) => ({ ...track, inputs })) }
}

/** Throws `REQUEST_INVALID` where there is none. */
export function picturesOrder(params: unknown): PicturesOrder {
  return checked<PicturesOrder>(params)
}

function checked<Order>(value: unknown): Order {
  if (isChecked<Order>(value)) return value
  throw new AppError('REQUEST_INVALID', 'the server ordered nothing')
}

function isChecked<Order>(value: unknown): value is Order {
  return typeof value === 'object' && value !== null
}
