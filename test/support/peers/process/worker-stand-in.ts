import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Type } from 'typebox'
import { Check } from 'typebox/value'
import { ParentPort } from '#codec/process/parent-port.ts'
import { AppError } from '#lib/errors.ts'

// A codec process without a codec: it copies its input, or behaves as such processes do in bad moments.

const copySchema = Type.Object({ url: Type.String(), path: Type.String(), frames: Type.Integer() })
const hoard: Buffer[] = []

const parent = new ParentPort({
  copy: async (params, { signal }) => {
    if (!Check(copySchema, params)) throw new AppError('MALFORMED', 'no order to copy')
    const response = await fetch(params.url, { signal })
    if (!response.ok || response.body === null) throw new AppError('MALFORMED', `no input: ${response.status}`)
    await pipeline(Readable.fromWeb(response.body), createWriteStream(params.path), { signal }).catch((cause: unknown) => {
      throw new AppError('MALFORMED', 'the input ends in the middle', { cause })
    })
    for (const frames of [1, params.frames]) parent.emit({ frames, totalFrames: params.frames, speed: 2 })
    return {}
  },
  /** Moves nothing until it is told to stop. */
  stall: async (_params, { signal }) => {
    if (!signal.aborted) await once(signal, 'abort')
    throw signal.reason
  },
  /** Takes more and more memory. */
  grow: async (_params, { signal }) => {
    while (!signal.aborted) {
      hoard.push(Buffer.alloc(32 << 20, 1))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return {}
  },
})
