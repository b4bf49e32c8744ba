import { Dictionary, FFmpegError, FormatContext, IOContext, Rational } from 'node-av/lib'
import { readInit } from '#formats/mp4/read-init.ts'
import { AppError } from '#lib/errors.ts'
import { fillParameters } from '../transcode/chunk-stream.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'
import { pureExtradata } from './media-data.ts'

const bufferBytes = 1 << 16

/**
 * The sample entry of a track, as libav's MP4 muxer writes it: codec configuration, colours, light levels and the shape of
 * pixels. Throws `CODEC_FAILED` when the muxer refuses the stream.
 */
export async function sampleEntryOf(stream: ChunkStream): Promise<Buffer> {
  const header = await headerOf(stream)
  const [entry] = readInit(header).tracks.flatMap(({ sampleEntries }) => sampleEntries)
  if (!entry) throw new AppError('CODEC_FAILED', `libav wrote no sample entry for ${stream.codec}`)
  return entry
}

/** `ftyp` and `moov` of a fragmented file with this one track. */
async function headerOf(stream: ChunkStream): Promise<Buffer> {
  const written: Buffer[] = []
  await using output = new IOContext()
  output.allocContextWithCallbacks(bufferBytes, 1, null, (bytes) => {
    written.push(Buffer.from(bytes))
    return bytes.length
  })
  const context = new FormatContext()
  try {
    FFmpegError.throwIfError(context.allocOutputContext2(null, 'mp4', null), 'make an MP4 muxer')
    describe(context, stream)
    context.pb = output
    using options = Dictionary.fromObject({ movflags: '+empty_moov+default_base_moof+frag_custom' })
    FFmpegError.throwIfError(await context.writeHeader(options), `describe ${stream.codec} in MP4`)
    await output.flush()
  } finally {
    // Freed with its output still there, it would free that too.
    context.pb = null
    context.freeContext()
  }
  return Buffer.concat(written)
}

/** Adds a stream to a muxer of MP4. */
export function describe(context: FormatContext, stream: ChunkStream): void {
  const added = context.newStream()
  const extradata = pureExtradata(stream.codec, Buffer.from(stream.extradata, 'base64'))
  fillParameters(added.codecpar, { ...stream, extradata: extradata.toString('base64') })
  // Apple's players take no other name for H.265.
  if (stream.codec === 'h265') added.codecpar.codecTag = 'hvc1'
  added.timeBase = new Rational(stream.timeBase.num, stream.timeBase.den)
}
