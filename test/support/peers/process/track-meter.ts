import {
  AV_FRAME_FLAG_CORRUPT,
  AV_NOPTS_VALUE,
  AV_PKT_FLAG_CORRUPT,
  AV_SAMPLE_FMT_FLTP,
  AV_SAMPLE_FMT_S16,
  AV_SAMPLE_FMT_S16P,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import { avGetCodecName, Codec, CodecContext, FFmpegError, Frame, PosixError, type Packet, type Stream } from 'node-av/lib'
import type { PlayedTrack } from '../play-stream.ts'

const tryAgain = FFmpegError.AVERROR(PosixError.EAGAIN)
const white = 200
const loud = 0.1
/** A beep is a sound after this much silence. */
const silenceSeconds = 0.2

/** Counts and decodes one track of what a player receives. */
export class TrackMeter implements Disposable {
  readonly kind: 'video' | 'audio'
  readonly flashSeconds: number[] = []
  readonly beepSeconds: number[] = []
  readonly #stream: Stream
  readonly #decoder: CodecContext | undefined
  readonly #frame = new Frame()
  readonly #sizes: string[] = []
  readonly #ptsSeconds: number[] = []
  #packets = 0
  #keyframes = 0
  #corruptPackets = 0
  #frames = 0
  #decodeErrors = 0
  #isWhite = false
  #lastLoudSeconds = -Infinity

  constructor(stream: Stream, { decode }: { decode: boolean }) {
    this.#stream = stream
    this.kind = stream.codecpar.codecType === AVMEDIA_TYPE_VIDEO ? 'video' : 'audio'
    this.#frame.alloc()
    this.#decoder = decode ? openDecoder(stream) : undefined
  }

  get packets(): number {
    return this.#packets
  }
  get frames(): number {
    return this.#frames
  }

  take(packet: Packet): void {
    this.#packets += 1
    if (packet.isKeyframe) this.#keyframes += 1
    if (packet.hasFlags(AV_PKT_FLAG_CORRUPT)) this.#corruptPackets += 1
    if (packet.pts !== AV_NOPTS_VALUE) this.#ptsSeconds.push(this.#seconds(packet.pts))
    this.#decode(packet)
  }

  /** Takes out what the decoder still holds. */
  finish(): void {
    this.#decode(null)
  }

  result(): PlayedTrack {
    return {
      kind: this.kind,
      codec: avGetCodecName(this.#stream.codecpar.codecId) ?? 'unknown',
      packets: this.#packets,
      keyframes: this.#keyframes,
      corruptPackets: this.#corruptPackets,
      ptsSeconds: this.#ptsSeconds,
      frames: this.#frames,
      decodeErrors: this.#decodeErrors,
      sizes: this.#sizes,
    }
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#decoder?.freeContext()
  }

  #decode(packet: Packet | null): void {
    if (!this.#decoder) return
    if (this.#decoder.sendPacketSync(packet) < 0) this.#decodeErrors += 1
    while (this.#receive(this.#decoder)) {
      this.#frames += 1
      if (this.#frame.decodeErrorFlags !== 0 || this.#frame.hasFlags(AV_FRAME_FLAG_CORRUPT)) this.#decodeErrors += 1
      const ticks = this.#frame.bestEffortTimestamp
      if (ticks !== AV_NOPTS_VALUE && this.kind === 'video') this.#look(this.#seconds(ticks))
      if (ticks !== AV_NOPTS_VALUE && this.kind === 'audio') this.#listen(this.#seconds(ticks))
      this.#frame.unref()
    }
  }

  #receive(decoder: CodecContext): boolean {
    const got = decoder.receiveFrameSync(this.#frame)
    if (got < 0 && got !== tryAgain && !FFmpegError.fromCode(got)?.isEOF) this.#decodeErrors += 1
    return got >= 0
  }

  #look(startSeconds: number): void {
    const size = `${this.#frame.width}x${this.#frame.height}`
    if (this.#sizes.at(-1) !== size) this.#sizes.push(size)
    const isWhite = meanLuma(this.#frame) > white
    if (isWhite && !this.#isWhite) this.flashSeconds.push(startSeconds)
    this.#isWhite = isWhite
  }

  #listen(startSeconds: number): void {
    const samples = firstChannel(this.#frame)
    for (let index = 0; index < samples.length; index++) {
      if (Math.abs(samples[index] ?? 0) < loud) continue
      const atSeconds = startSeconds + index / this.#frame.sampleRate
      if (atSeconds - this.#lastLoudSeconds > silenceSeconds) this.beepSeconds.push(atSeconds)
      this.#lastLoudSeconds = atSeconds
    }
  }

  #seconds(ticks: bigint): number {
    return Number(ticks) * this.#stream.timeBase.toDouble()
  }
}

function openDecoder({ codecpar, timeBase }: Stream): CodecContext {
  const codec = Codec.findDecoder(codecpar.codecId)
  if (!codec) throw new Error(`no decoder for ${avGetCodecName(codecpar.codecId)}`)
  const decoder = new CodecContext()
  decoder.allocContext3(codec)
  FFmpegError.throwIfError(codecpar.toContext(decoder), 'describe a track to its decoder')
  decoder.pktTimebase = timeBase
  decoder.threadCount = 1
  FFmpegError.throwIfError(decoder.open2Sync(codec), 'open a decoder')
  return decoder
}

/** Brightness of every eighth dot in both directions. The plane's bytes live only as long as the frame. */
function meanLuma(frame: Frame): number {
  const plane = frame.data?.[0]
  const stride = frame.linesize[0] ?? 0
  let sum = 0
  let count = 0
  for (let y = 0; y < frame.height; y += 8) {
    for (let x = 0; x < frame.width; x += 8) {
      sum += plane?.[y * stride + x] ?? 0
      count += 1
    }
  }
  return sum / count
}

/** Samples from -1 to 1, 16-bit or float. */
function firstChannel(frame: Frame): Float32Array {
  const bytes = frame.data?.[0]
  const samples = new Float32Array(frame.nbSamples)
  if (!bytes || !frame.isAudio()) return samples
  const format = Number(frame.format)
  const isShort = format === AV_SAMPLE_FMT_S16 || format === AV_SAMPLE_FMT_S16P
  const isPlanar = format === AV_SAMPLE_FMT_S16P || format === AV_SAMPLE_FMT_FLTP
  const step = (isShort ? 2 : 4) * (isPlanar ? 1 : frame.channels)
  for (let index = 0; index < samples.length; index++) {
    samples[index] = isShort ? bytes.readInt16LE(index * step) / 32_768 : bytes.readFloatLE(index * step)
  }
  return samples
}
