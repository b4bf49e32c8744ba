import { createHash } from 'node:crypto'
import {
  AV_FRAME_DATA_CONTENT_LIGHT_LEVEL,
  AV_FRAME_DATA_MASTERING_DISPLAY_METADATA,
  AV_FRAME_FLAG_CORRUPT,
  AV_FRAME_FLAG_INTERLACED,
  AV_PIX_FMT_YUV420P10LE,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import { avGetCodecName, Codec, CodecContext, FFmpegError, FormatContext, Frame, Packet, type Stream } from 'node-av/lib'
import { frameNumberBits, frameNumberBlock } from '../../job-files.ts'
import type { Film, FilmTrack, ReadFilmOptions } from '../read-film.ts'
import { report, runPeer } from './peer.ts'

const loud = 0.1
/** A beep is a sound after this much silence. */
const silenceSeconds = 0.2

async function read(options: ReadFilmOptions): Promise<void> {
  const input = new FormatContext()
  input.allocContext()
  FFmpegError.throwIfError(await input.openInput(options.url), `open ${options.url}`)
  FFmpegError.throwIfError(await input.findStreamInfo(), 'find the tracks')
  const packet = new Packet()
  packet.alloc()
  const readers = new Map<number, TrackReader>()
  while ((await input.readFrame(packet)) >= 0) {
    const stream = input.streams[packet.streamIndex]
    const isMedia = stream?.codecpar.codecType === AVMEDIA_TYPE_VIDEO || stream?.codecpar.codecType === AVMEDIA_TYPE_AUDIO
    if (stream && isMedia) {
      const reader = readers.get(packet.streamIndex) ?? new TrackReader(stream, options)
      readers.set(packet.streamIndex, reader)
      reader.take(packet)
    }
    packet.unref()
  }
  for (const reader of readers.values()) reader.take(null)
  const film: Film = { tracks: [...readers.values()].map(({ track }) => track) }
  report({ event: 'film', ...film })
}

class TrackReader {
  readonly track: FilmTrack
  readonly #stream: Stream
  readonly #options: ReadFilmOptions
  readonly #decoder: CodecContext
  readonly #frame = new Frame()
  #lastLoudSeconds = -Infinity

  constructor(stream: Stream, options: ReadFilmOptions) {
    const { codecpar } = stream
    this.#stream = stream
    this.#options = options
    this.#frame.alloc()
    this.#decoder = openDecoder(stream)
    this.track = {
      kind: codecpar.codecType === AVMEDIA_TYPE_VIDEO ? 'video' : 'audio',
      codec: avGetCodecName(codecpar.codecId) ?? 'unknown',
      decodeErrors: 0,
      size: '',
      bitDepth: 0,
      transfer: 0,
      isInterlaced: false,
      hasMasteringDisplay: false,
      hasContentLight: false,
      pictures: [],
      seconds: 0,
      beepSeconds: [],
    }
  }

  take(packet: Packet | null): void {
    if (this.#decoder.sendPacketSync(packet) < 0) this.track.decodeErrors += 1
    while (this.#decoder.receiveFrameSync(this.#frame) >= 0) {
      if (this.#frame.decodeErrorFlags !== 0 || this.#frame.hasFlags(AV_FRAME_FLAG_CORRUPT)) this.track.decodeErrors += 1
      const startSeconds = Number(this.#frame.bestEffortTimestamp) * this.#stream.timeBase.toDouble()
      if (this.track.kind === 'video') this.#look(startSeconds)
      else this.#listen(startSeconds)
      this.#frame.unref()
    }
  }

  #look(ptsSeconds: number): void {
    const frame = this.#frame
    const { track } = this
    const bytes = frame.toBuffer()
    const bytesPerDot = frame.format === AV_PIX_FMT_YUV420P10LE ? 2 : 1
    const lumaAt = (x: number, y: number): number => {
      const at = (Math.floor(y) * frame.width + Math.floor(x)) * bytesPerDot
      return bytesPerDot === 1 ? bytes.readUInt8(at) : bytes.readUInt16LE(at) / 4
    }
    track.size ||= `${frame.width}x${frame.height}`
    track.bitDepth = bytesPerDot === 1 ? 8 : 10
    track.transfer = frame.colorTrc
    track.isInterlaced ||= frame.hasFlags(AV_FRAME_FLAG_INTERLACED)
    track.hasMasteringDisplay ||= frame.getSideData(AV_FRAME_DATA_MASTERING_DISPLAY_METADATA) !== null
    track.hasContentLight ||= frame.getSideData(AV_FRAME_DATA_CONTENT_LIGHT_LEVEL) !== null
    track.pictures.push({
      ptsSeconds,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sourceFrame: numberIn(lumaAt, frame.width / (this.#options.numberWidth ?? frame.width)),
      luma: (this.#options.points ?? []).map(([x, y]) => lumaAt(x * frame.width, y * frame.height)),
    })
  }

  #listen(startSeconds: number): void {
    const plane = Uint8Array.from(this.#frame.data?.[0] ?? [])
    const samples = new Float32Array(plane.buffer, 0, this.#frame.nbSamples)
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample) < loud) continue
      const atSeconds = startSeconds + index / this.#frame.sampleRate
      if (atSeconds - this.#lastLoudSeconds > silenceSeconds) this.track.beepSeconds.push(atSeconds)
      this.#lastLoudSeconds = atSeconds
    }
    this.track.seconds = Math.max(this.track.seconds, startSeconds + samples.length / this.#frame.sampleRate)
  }
}

/** The number in the corner of a picture that was scaled by this factor. */
function numberIn(lumaAt: (x: number, y: number) => number, scale: number): number {
  const bits = Array.from({ length: frameNumberBits }, (_, bit) => (bit + 0.5) * frameNumberBlock * scale)
  const y = (frameNumberBlock / 2) * scale
  return bits.reduce((sum, x, bit) => sum + (lumaAt(x, y) > 128 ? 2 ** bit : 0), 0)
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

await runPeer(read)
