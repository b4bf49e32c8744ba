/** Chunks as the encoding process writes them, made of test pictures and a tone. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { FF_ENCODER_AAC, FF_ENCODER_LIBOPUS } from 'node-av/constants'
import type { AudioCodec, Hdr, PackageOrder, Rational, VideoCodec, VideoEncoder } from '#codec/transcoding.ts'
import { EncodedTrack } from '../encoded-track.ts'
import { FilterSource } from '../filter-source.ts'
import type { ChunkPacket } from '../transcode/chunk-format.ts'
import { ChunkWriter } from '../transcode/chunk-writer.ts'
import { audioChunkStream } from '../transcode/chunk-stream.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'
import { VideoEncoding } from '../transcode/video-encoding.ts'
import { pixelFormatOf } from '../transcode/encoder-options.ts'

export type OrderTrack = PackageOrder['tracks'][number]

export type TestVideo = {
  readonly codec: VideoCodec
  readonly name?: string
  readonly width?: number
  readonly height?: number
  readonly frameRate?: Rational
  readonly gopFrames?: number
  /** Frames where chunks begin, without the first, and the end of all. */
  readonly chunkEnds?: readonly number[]
  readonly crf?: number
  readonly hdr?: Hdr
}

const encoders = {
  h264: { encoder: 'libx264', preset: 'veryfast' },
  h265: { encoder: 'libx265', preset: 'ultrafast' },
  av1: { encoder: 'libsvtav1', preset: '12' },
  vp9: { encoder: 'libvpx-vp9', preset: '5' },
} as const

const sdr = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' } as const
const hdr10 = { primaries: 'bt2020', transfer: 'smpte2084', matrix: 'bt2020nc', range: 'tv' } as const

/** One track of moving pictures, in chunks. Pictures with more detail towards the end make its rate uneven. */
export async function makeVideo(directory: string, options: TestVideo): Promise<OrderTrack> {
  const { codec, name = codec, width = 192, height = 108, gopFrames = 25, chunkEnds = [50, 125, 150] } = options
  const { frameRate = { num: 25, den: 1 }, crf = 30, hdr } = options
  const { encoder, preset } = encoders[codec]
  const video: VideoEncoder = {
    codec,
    encoder,
    preset,
    rate: { mode: 'crf', crf },
    bitDepth: hdr ? 10 : 8,
    gopFrames,
    threads: 1,
    color: hdr ? hdr10 : sdr,
    ...(hdr ? { hdr } : {}),
  }
  using source = new FilterSource(
    'video',
    `testsrc2=size=${width}x${height}:rate=${frameRate.num}/${frameRate.den},format=${pixelFormatOf(video)}`,
  )
  using encoding = new VideoEncoding({ video, width, height, frameRate })
  const packets: ChunkPacket[] = []
  const keep = (made: Iterable<ChunkPacket>): void => {
    for (const packet of made) packets.push({ ...packet, data: Buffer.from(packet.data) })
  }
  for (let frame = 0; frame < (chunkEnds.at(-1) ?? 0); frame++) keep(encoding.encode(source.next(), frame))
  keep(encoding.finish())
  const inputs = []
  let start = 0
  for (const end of chunkEnds) {
    const own = packets.filter(({ pts }) => pts >= start && pts < end)
    inputs.push(await writeChunk(join(directory, `${name}-${start}.chunk`), encoding.stream, own))
    start = end
  }
  return { kind: 'video', name, codec, gopFrames, inputs }
}

export type TestAudio = {
  readonly codec: AudioCodec
  readonly name?: string
  readonly seconds?: number
  readonly language?: string
  readonly title?: string
  readonly isDefault?: boolean
  readonly layout?: 'stereo' | '5.1'
  /** Of the tone. */
  readonly hertz?: number
}

/** One track with a tone, in one chunk. */
export async function makeAudio(directory: string, options: TestAudio): Promise<OrderTrack> {
  const { codec, name = codec, seconds = 6, hertz = 440, isDefault = true, layout = 'stereo', language, title } = options
  const encoder = codec === 'aac' ? FF_ENCODER_AAC : FF_ENCODER_LIBOPUS
  const frameSamples = codec === 'aac' ? 1024 : 960
  using track = new EncodedTrack({
    kind: 'audio',
    encoder,
    filters: `sine=frequency=${hertz}:sample_rate=48000:samples_per_frame=${frameSamples},aformat=channel_layouts=${layout}`,
    encoderOptions: { b: '96000', flags: '+global_header' },
    frameCount: Math.ceil((seconds * 48_000) / frameSamples),
  })
  const packets: ChunkPacket[] = []
  for (let packet = track.next(); packet; packet = track.next()) {
    packets.push({
      pts: Number(packet.pts),
      dts: Number(packet.dts),
      durationTicks: frameSamples,
      isKeyframe: true,
      data: Buffer.from(packet.data ?? Buffer.alloc(0)),
    })
  }
  const input = await writeChunk(join(directory, `${name}.chunk`), audioChunkStream(track.context, codec), packets)
  return {
    kind: 'audio',
    name,
    codec,
    isDefault,
    inputs: [input],
    ...(language ? { language } : {}),
    ...(title ? { title } : {}),
  }
}

/** Writes a chunk and gives the input of an order for it. */
export async function writeChunk(
  path: string,
  stream: ChunkStream,
  packets: readonly ChunkPacket[],
): Promise<OrderTrack['inputs'][number]> {
  await using writer = await ChunkWriter.open(path, stream)
  const hash = createHash('sha256')
  for (const packet of packets) {
    hash.update(packet.data)
    await writer.write(packet)
  }
  await writer.close()
  return { url: path, sha256: hash.digest('hex'), frameCount: packets.length }
}

/** An order for tracks of six seconds. */
export function orderOf(
  tracks: readonly OrderTrack[],
  outputDirectory: string,
  change: Partial<PackageOrder> = {},
): PackageOrder {
  return {
    format: 'cmaf',
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 150 },
    segmentMs: 2000,
    tracks,
    outputDirectory,
    ...change,
  }
}
