import { crc32 } from 'node:zlib'
import { AVERROR_EOF, AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import {
  Codec,
  CodecContext,
  Dictionary,
  FFmpegError,
  FormatContext,
  Frame,
  InputFormat,
  Packet,
  PosixError,
  type Stream,
} from 'node-av/lib'
import { Pauses } from '../transcode/pauses.ts'
import { secondsOf } from './cuts.ts'
import { FrameOrder } from './frame-order.ts'
import type { Meter } from './meter.ts'
import type { StitchedTrack } from './stitched-track.ts'
import { trackError } from './track-error.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)
const decoderThreads = 2
/** Rounding of times by a muxer. */
const slackSeconds = 0.0005

/** What a track of a finished file has to be. */
export type Expected = {
  readonly name: string
  readonly kind: 'video' | 'audio'
  /** Samples in the file. */
  readonly sampleCount: number
  /** Of the samples in coding order. */
  readonly crc32: number
  /** Of pictures: seconds of one, and how many are between keyframes. */
  readonly frames?: { readonly seconds: number; readonly gopFrames: number }
  /** What is decoded, in coding order; each from a keyframe on. */
  readonly decoded: readonly { readonly first: number; readonly end: number }[]
  /** Name of the pass for the meter. */
  readonly pass: string
}

/** `frames` of what is expected of a stitched track. */
export function framesOf({ order, timeBase }: StitchedTrack): Pick<Expected, 'frames'> {
  return order.kind === 'video' ? { frames: { seconds: secondsOf(timeBase), gopFrames: order.gopFrames } } : {}
}

/**
 * Reads a finished MP4 back as a player would. Throws `ENCODE_DAMAGED` when it is not what was meant to be written, or the
 * signal's reason.
 */
export async function verifyFile(
  path: string,
  tracks: readonly Expected[],
  { meter, signal }: { meter: Meter; signal: AbortSignal },
): Promise<void> {
  const context = new FormatContext()
  context.allocContext()
  const stop = () => context.interrupt()
  signal.addEventListener('abort', stop)
  let isOpen = false
  try {
    using options = Dictionary.fromObject({ protocol_whitelist: 'file' })
    FFmpegError.throwIfError(await context.openInput(path, InputFormat.findInputFormat('mov'), options), `open ${path}`)
    isOpen = true
    await verifyStreams(context, tracks, { meter, signal })
  } finally {
    signal.removeEventListener('abort', stop)
    if (isOpen) await context.closeInput()
    else context.freeContext()
  }
}

async function verifyStreams(
  context: FormatContext,
  tracks: readonly Expected[],
  { meter, signal }: { meter: Meter; signal: AbortSignal },
): Promise<void> {
  using readers = new DisposableStack()
  const streams = context.streams.map((stream) => {
    const kind = { [AVMEDIA_TYPE_VIDEO]: 'video', [AVMEDIA_TYPE_AUDIO]: 'audio' }[stream.codecpar.codecType]
    const expected = tracks[stream.index]
    if (!expected || expected.kind !== kind)
      throw trackError(expected?.name ?? 'none', `the file has track ${stream.index} of another kind`)
    return readers.use(new TrackReader(stream, expected))
  })
  if (streams.length !== tracks.length) throw trackError(tracks.at(-1)?.name ?? 'none', 'the file has no such track')
  using packet = new Packet()
  packet.alloc()
  const pauses = new Pauses(signal)
  for (;;) {
    await pauses.next()
    const got = context.readFrameSync(packet)
    if (got === AVERROR_EOF) break
    FFmpegError.throwIfError(got, 'read a finished file')
    const reader = streams[packet.streamIndex]
    reader?.take(packet)
    if (reader) meter.reach(reader.expected.pass, reader.seconds)
    packet.unref()
  }
  for (const reader of streams) reader.finish()
}

/** Checks the packets of one track. */
class TrackReader implements Disposable {
  readonly expected: Expected
  readonly #stream: Stream
  readonly #decoder: RangeDecoder
  #count = 0
  #crc32 = 0
  #lastDts = -Infinity
  readonly #order: FrameOrder | undefined
  /** Seconds of what is shown so far. */
  seconds = 0

  constructor(stream: Stream, expected: Expected) {
    this.#stream = stream
    this.expected = expected
    this.#decoder = new RangeDecoder(stream, expected.name)
    this.#order = expected.frames && new FrameOrder(expected.frames.gopFrames)
    this.#order?.begin(expected.sampleCount)
  }

  take(packet: Packet): void {
    const { name } = this.expected
    const dts = Number(packet.dts)
    const pts = Number(packet.pts)
    if (dts <= this.#lastDts) throw trackError(name, `decode times do not grow: ${dts} follows ${this.#lastDts}`)
    this.#lastDts = dts
    this.#requireOrder(pts, packet.isKeyframe)
    this.#crc32 = crc32(packet.data ?? Buffer.alloc(0), this.#crc32)
    this.#decode(packet)
    this.#count += 1
    this.seconds = this.#secondsAt(pts + Number(packet.duration))
  }

  finish(): void {
    const { name, sampleCount } = this.expected
    this.#decoder.end()
    if (this.#count !== sampleCount) throw trackError(name, `the file has ${this.#count} samples of ${sampleCount}`)
    if (this.#crc32 !== this.expected.crc32) throw trackError(name, 'the file has other bytes than were written')
  }

  [Symbol.dispose](): void {
    this.#decoder[Symbol.dispose]()
  }

  /**
   * Pictures are one frame apart, each is there once, and each group of them begins with a keyframe that is shown at its own
   * time.
   */
  #requireOrder(pts: number, isKeyframe: boolean): void {
    const { name, frames } = this.expected
    if (!frames || !this.#order) return
    const exact = this.#secondsAt(pts) / frames.seconds
    const frame = Math.round(exact)
    const failure = this.#order.take({ pts: frame, isKeyframe })
    if (failure !== undefined) throw trackError(name, `the finished file is out of order: ${failure}`)
    if (Math.abs(exact - frame) * frames.seconds > slackSeconds)
      throw trackError(name, `a frame is shown at ${exact.toFixed(3)} frames`)
  }

  #secondsAt(ticks: number): number {
    return (ticks * this.#stream.timeBase.num) / this.#stream.timeBase.den
  }

  #decode(packet: Packet): void {
    const { decoded } = this.expected
    const isWanted = decoded.some(({ first, end }) => this.#count >= first && this.#count < end)
    if (isWanted) this.#decoder.push(packet)
  }
}

/** Decodes runs of packets, each from a keyframe on, one behind the other as in a player that winds, and counts what comes out. */
class RangeDecoder implements Disposable {
  readonly #context = new CodecContext()
  readonly #frame = new Frame()
  readonly #name: string
  readonly #isVideo: boolean
  #sent = 0
  #received = 0

  constructor(stream: Stream, name: string) {
    this.#name = name
    this.#isVideo = stream.codecpar.codecType === AVMEDIA_TYPE_VIDEO
    this.#frame.alloc()
    const codec = Codec.findDecoder(stream.codecpar.codecId)
    if (!codec) throw trackError(name, 'this FFmpeg build cannot decode it')
    this.#context.allocContext3(codec)
    FFmpegError.throwIfError(this.#context.parametersToContext(stream.codecpar), 'set up a decoder')
    this.#context.pktTimebase = stream.timeBase
    this.#context.threadCount = decoderThreads
    FFmpegError.throwIfError(this.#context.setOption('err_detect', 'explode'), 'set up a decoder')
    // Nobody looks at the pictures, and smoothing their edges finds no fault.
    FFmpegError.throwIfError(this.#context.setOption('skip_loop_filter', 'all'), 'set up a decoder')
    FFmpegError.throwIfError(this.#context.open2Sync(codec), 'open a decoder')
  }

  push(packet: Packet): void {
    this.#require(this.#context.sendPacketSync(packet))
    this.#sent += 1
    this.#drain()
  }

  /** All frames must have come out. */
  end(): void {
    this.#require(this.#context.sendPacketSync(null))
    this.#drain()
    if (this.#isVideo && this.#received !== this.#sent) {
      throw trackError(this.#name, `${this.#sent} frames were decoded to ${this.#received} pictures`)
    }
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#context.freeContext()
  }

  #drain(): void {
    for (;;) {
      const got = this.#context.receiveFrameSync(this.#frame)
      if (got === needsMore || got === AVERROR_EOF) return
      this.#require(got)
      if (this.#frame.decodeErrorFlags !== 0) throw trackError(this.#name, 'a frame was decoded with errors')
      this.#received += 1
      this.#frame.unref()
    }
  }

  #require(result: number): void {
    if (result < 0) throw trackError(this.#name, `it cannot be decoded (${FFmpegError.strerror(result)})`)
  }
}
