import type { PackageOrder, Rational } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { openChunk, type ChunkFile } from '../transcode/chunk-file.ts'
import type { ChunkPacket } from '../transcode/chunk-format.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'
import { FrameOrder } from './frame-order.ts'
import { pureExtradata, toSampleData } from './media-data.ts'
import { inputError, trackError, type InputPlace } from './track-error.ts'

export type OrderedTrack = PackageOrder['tracks'][number]

/** One sample of the whole track, in coding order; times in ticks of `timeBase`, the first picture or sound of the work at 0. */
export type Sample = {
  readonly ptsTicks: number
  /** As the encoder gave it; that of the first frame is below 0 by as much as the encoder needs to put frames out of order. */
  readonly dtsTicks: number
  readonly durationTicks: number
  readonly isKeyframe: boolean
  /** As MP4 stores it; valid until the next sample is asked for. */
  readonly data: Buffer
}

/** The chunks of one track as one: checked against each other and the order while they are read. */
export class StitchedTrack implements AsyncDisposable {
  readonly order: OrderedTrack
  readonly stream: ChunkStream
  readonly #signal: AbortSignal
  #open: ChunkFile | undefined

  /** Opens the first input. Throws as `samples`. */
  static async open(order: OrderedTrack, signal: AbortSignal): Promise<StitchedTrack> {
    if (order.inputs.length === 0) throw trackError(order.name, 'it has no inputs')
    return new StitchedTrack(order, await openFirst(order, signal), signal)
  }

  private constructor(order: OrderedTrack, first: ChunkFile, signal: AbortSignal) {
    this.order = order
    this.stream = first.stream
    this.#open = first
    this.#signal = signal
  }

  /** Of frames or samples, in seconds. */
  get timeBase(): Rational {
    return this.stream.timeBase
  }

  /** Frames where each chunk begins; the first is 0. Of sound nothing is known before it is read. */
  get joints(): readonly number[] {
    return jointsOf(this.order)
  }

  /**
   * All samples, once. Throws, with the input named in `details.inputs`: `INPUT_DAMAGED` for one that is missing or not the one
   * that was written, `ENCODE_DAMAGED` for one that does not go with the others, `SOURCE_UNREACHABLE`, or the signal's reason.
   */
  async *samples(): AsyncGenerator<Sample, void, undefined> {
    const frames = packetOrder(this.order, 0)
    for (const index of this.order.inputs.keys()) {
      const opened = this.#open
      this.#open = undefined
      yield* readInput(this.order, index, { frames, opened, first: this.stream, signal: this.#signal })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.[Symbol.asyncDispose]()
    this.#open = undefined
  }
}

/** Where a track has frames before each of its inputs. */
function jointsOf({ inputs }: OrderedTrack): number[] {
  let frames = 0
  return inputs.map(({ frameCount }) => {
    const start = frames
    frames += frameCount
    return start
  })
}

/** What comes before the first input that is read counts as read. */
export function packetOrder(track: OrderedTrack, firstInput: number): PacketOrder {
  return track.kind === 'video' ? new FrameOrder(track.gopFrames, jointsOf(track)[firstInput]) : new SoundOrder()
}

type Reading = {
  readonly frames: PacketOrder
  /** The input, where it is open already; it is closed in the end. */
  readonly opened?: ChunkFile | undefined
  /** What the track begins with; absent: not known. */
  readonly first?: ChunkStream | undefined
  readonly signal: AbortSignal
}

/** All samples of one input, checked. Throws as `StitchedTrack.samples`. */
export async function* readInput(
  track: OrderedTrack,
  index: number,
  { frames, opened, first, signal }: Reading,
): AsyncGenerator<Sample, void, undefined> {
  const place = { track: track.name, input: index }
  await using chunk = opened ?? (await openInput(track, index, signal))
  if (first) requireSame(first, chunk.stream, place)
  const { frameCount, sha256 } = track.inputs[index] ?? {}
  const failure = frames.begin(track.kind === 'video' ? frameCount : undefined)
  if (failure !== undefined) throw inputError('ENCODE_DAMAGED', place, failure)
  yield* samplesOf(chunk, { track, frames, place, signal })
  const missing = frames.end()
  if (missing !== undefined) throw inputError('ENCODE_DAMAGED', place, missing)
  if (chunk.end?.sha256 !== sha256) throw inputError('INPUT_DAMAGED', place, 'its digest is not the one in the order')
}

async function* samplesOf(
  chunk: ChunkFile,
  { track, frames, place, signal }: { track: OrderedTrack; place: InputPlace } & Pick<Reading, 'frames' | 'signal'>,
): AsyncGenerator<Sample, void, undefined> {
  const packets = chunk.packets()
  for (;;) {
    signal.throwIfAborted()
    const next = await named(place, () => packets.next())
    if (next.done) return
    const packet = next.value
    const failure = frames.take(packet)
    if (failure !== undefined) throw inputError('ENCODE_DAMAGED', place, failure)
    yield {
      ptsTicks: packet.pts,
      dtsTicks: packet.dts,
      durationTicks: track.kind === 'video' ? 1 : packet.durationTicks,
      isKeyframe: packet.isKeyframe || track.kind === 'audio',
      data: toSampleData(chunk.stream.codec, packet.data),
    }
  }
}

/** Says what is wrong with a packet, a chunk before its first packet, or one after its last. */
export interface PacketOrder {
  begin(frameCount: number | undefined): string | undefined
  take(packet: ChunkPacket): string | undefined
  end(): string | undefined
}

/** Sound goes on where it ended. */
class SoundOrder implements PacketOrder {
  #nextTicks: number | undefined

  begin(): undefined {}

  take({ pts, durationTicks }: ChunkPacket): string | undefined {
    if (durationTicks === 0) return `the packet at ${pts} lasts no time`
    if (this.#nextTicks !== undefined && pts !== this.#nextTicks) return `sound at ${pts} where ${this.#nextTicks} should follow`
    this.#nextTicks = pts + durationTicks
    return undefined
  }

  end(): string | undefined {
    return this.#nextTicks === undefined ? 'it is empty' : undefined
  }
}

/** The first input, which the others are compared with. */
export async function openFirst(order: OrderedTrack, signal: AbortSignal): Promise<ChunkFile> {
  const first = await openInput(order, 0, signal)
  const { stream } = first
  if (stream.kind === order.kind && stream.codec === order.codec) return first
  await first[Symbol.asyncDispose]()
  throw inputError('ENCODE_DAMAGED', { track: order.name, input: 0 }, `it is ${stream.codec}, ordered was ${order.codec}`)
}

async function openInput(order: OrderedTrack, index: number, signal: AbortSignal): Promise<ChunkFile> {
  const url = order.inputs[index]?.url ?? ''
  return await named({ track: order.name, input: index }, () => openChunk(url, { signal }))
}

/** Errors of reading, with the input's name. */
async function named<T>(place: InputPlace, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    if (error instanceof AppError) throw inputError(error.code, place, error.message, error)
    throw error
  }
}

/** Chunks may be stitched when a decoder cannot tell where one ends. */
function requireSame(first: ChunkStream, other: ChunkStream, place: InputPlace): void {
  if (first === other) return
  const before = comparable(first)
  for (const [name, value] of Object.entries(comparable(other))) {
    if (before[name] === value) continue
    throw inputError('ENCODE_DAMAGED', place, `its ${name} is not that of input 0; were they made by different encoders?`)
  }
}

function comparable(stream: ChunkStream): Readonly<Record<string, string>> {
  const extradata = pureExtradata(stream.codec, Buffer.from(stream.extradata, 'base64')).toString('base64')
  return Object.fromEntries(Object.entries({ ...stream, extradata }).map(([name, value]) => [name, JSON.stringify(value)]))
}
