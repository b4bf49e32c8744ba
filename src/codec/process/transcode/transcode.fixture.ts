import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { AV_LOG_QUIET } from 'node-av/constants'
import { Codec, CodecContext, CodecParameters, FFmpegError, Frame, Log, Packet, Rational } from 'node-av/lib'
import { noRolls, type VideoEncoder, type VideoOrder } from '#codec/transcoding.ts'
import { startFileServer } from '../../../../test/support/file-server.ts'
import { frameNumberBits, frameNumberBlock } from '../../../../test/support/job-files.ts'
import { temporaryDirectory } from '../../../../test/support/temp-directory.ts'
import { openChunk } from './chunk-file.ts'
import type { ChunkEnd, ChunkPacket } from './chunk-format.ts'
import { fillParameters } from './chunk-stream.ts'
import type { ChunkStream } from './chunk-description.ts'
import type { OrderRun } from './video.ts'

Log.setLevel(AV_LOG_QUIET)
process.env['SVT_LOG'] = '-1'

/** What an order has around it in tests. */
export function testRun(more: Partial<OrderRun> = {}): OrderRun {
  const nothing = () => undefined
  return { signal: new AbortController().signal, stallMs: 10_000, onMoved: nothing, onProgress: nothing, ...more }
}

/** A directory that is served over HTTP: `await using workshop = await startWorkshop()`. */
export async function startWorkshop() {
  const directory = await temporaryDirectory()
  const server = await startFileServer(directory.path)
  return {
    path: directory.path,
    /** Address of a file in it. */
    urlOf: (path: string) => `${server.url}/${basename(path)}`,
    /** Path for an output. */
    outputPath: (name: string) => join(directory.path, name),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}

export const sdr = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' } as const

export function videoEncoder(more: Partial<VideoEncoder> = {}): VideoEncoder {
  return {
    codec: 'h264',
    encoder: 'libx264',
    rate: { mode: 'crf', crf: 23 },
    preset: 'ultrafast',
    bitDepth: 8,
    gopFrames: 25,
    threads: 1,
    color: sdr,
    ...more,
  }
}

/** A whole clip of 320×180 at 25 frames a second, in one piece. */
export function videoOrder(
  sourceUrl: string,
  outputPath: string,
  { frameCount = 100, ...more }: Partial<VideoOrder> & { frameCount?: number } = {},
): VideoOrder {
  return {
    sourceUrl,
    outputPath,
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount },
    range: { startFrame: 0, endFrame: frameCount },
    rolls: noRolls,
    picture: { deinterlace: false, rotationDegrees: 0, width: 320, height: 180 },
    video: videoEncoder(),
    ...more,
  }
}

export type LoadedChunk = { stream: ChunkStream; packets: ChunkPacket[]; end: ChunkEnd | undefined }

export async function loadChunk(location: string): Promise<LoadedChunk> {
  await using chunk = await openChunk(location)
  const packets = await Array.fromAsync(chunk.packets(), (packet) => ({ ...packet, data: Buffer.from(packet.data) }))
  return { stream: chunk.stream, packets, end: chunk.end }
}

export type DecodedPicture = {
  readonly pts: number
  readonly sha256: string
  /** The number that the source's picture carries. */
  readonly sourceFrame: number
  /** Brightness at a place, 0 to 255. */
  lumaAt(x: number, y: number): number
}

/** Decodes the packets of a chunk of 8-bit pictures, or of several in a row. */
export function decodePictures({ stream, packets }: Pick<LoadedChunk, 'stream' | 'packets'>): DecodedPicture[] {
  const pictures: DecodedPicture[] = []
  decode(stream, packets, (frame) => {
    const bytes = frame.toBuffer()
    const { width } = frame
    const lumaAt = (x: number, y: number) => bytes[y * width + x] ?? -1
    pictures.push({
      pts: Number(frame.pts),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sourceFrame: numberOf(lumaAt),
      lumaAt,
    })
  })
  return pictures
}

/** How much rows of a picture of 320×180 differ from the mean of their neighbours. */
export function combing(picture: DecodedPicture): number {
  const lumaAt = (x: number, y: number) => picture.lumaAt(x, y)
  let sum = 0
  for (let y = 41; y < 139; y++) {
    for (let x = 0; x < 320; x += 4) sum += Math.abs(lumaAt(x, y) - (lumaAt(x, y - 1) + lumaAt(x, y + 1)) / 2)
  }
  return sum
}

/** Decodes sound to the samples of its first channel. Decoders leave the priming out. */
export function decodeSamples({ stream, packets }: Pick<LoadedChunk, 'stream' | 'packets'>): number[] {
  const samples: number[] = []
  decode(stream, packets, (frame) => {
    const bytes = Uint8Array.from(frame.data?.[0] ?? [])
    const plane = new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4))
    samples.push(...plane.subarray(0, frame.nbSamples))
  })
  return samples
}

function decode(stream: ChunkStream, packets: readonly ChunkPacket[], onFrame: (frame: Frame) => void): void {
  using parameters = new CodecParameters()
  using context = new CodecContext()
  using frame = new Frame()
  using packet = new Packet()
  for (const each of [parameters, frame, packet]) each.alloc()
  fillParameters(parameters, stream)
  const codec = Codec.findDecoder(parameters.codecId)
  context.allocContext3(codec)
  FFmpegError.throwIfError(context.parametersToContext(parameters))
  context.pktTimebase = new Rational(stream.timeBase.num, stream.timeBase.den)
  context.threadCount = 1
  FFmpegError.throwIfError(context.open2Sync(codec))
  const take = () => {
    while (context.receiveFrameSync(frame) >= 0) onFrame(frame)
  }
  for (const { pts, dts, data } of packets) {
    packet.unref()
    packet.data = data
    packet.pts = BigInt(pts)
    packet.dts = BigInt(dts)
    FFmpegError.throwIfError(context.sendPacketSync(packet), 'decode')
    take()
  }
  FFmpegError.throwIfError(context.sendPacketSync(null), 'decode')
  take()
}

function numberOf(lumaAt: (x: number, y: number) => number): number {
  const middle = frameNumberBlock / 2
  return Array.from({ length: frameNumberBits }, (_, bit) =>
    lumaAt(bit * frameNumberBlock + middle, middle) > 128 ? 2 ** bit : 0,
  ).reduce((sum, bit) => sum + bit, 0)
}
