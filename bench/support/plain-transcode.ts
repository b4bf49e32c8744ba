/** One film through libav in this process, with nothing around it: the least that an encoding of it takes. One JSON argument, `PlainOrder`. */
import { Decoder, Demuxer, Encoder, Muxer, pipeline } from 'node-av/api'
import { AV_LOG_ERROR, FF_ENCODER_AAC, FF_ENCODER_LIBX264 } from 'node-av/constants'
import { Log } from 'node-av/lib'
import type { EncoderOptions } from '#codec/process/transcode/encoder-options.ts'

export type PlainOrder = {
  readonly inputPath: string
  readonly outputPath: string
  readonly threads: number
  readonly videoOptions: EncoderOptions
  readonly audioBitsPerSecond: number
}

Log.setLevel(AV_LOG_ERROR)
const order: PlainOrder = JSON.parse(process.argv[2] ?? '{}')
await using input = await Demuxer.open(order.inputPath)
const [picture, sound] = [input.video(), input.audio()]
if (!picture || !sound) throw new Error(`${order.inputPath} needs pictures and sound`)
using pictureDecoder = await Decoder.create(picture, { context: { threadCount: order.threads } })
using pictureEncoder = await Encoder.create(FF_ENCODER_LIBX264, {
  decoder: pictureDecoder,
  context: { threadCount: order.threads },
  options: order.videoOptions,
})
using soundDecoder = await Decoder.create(sound)
using soundEncoder = await Encoder.create(FF_ENCODER_AAC, {
  decoder: soundDecoder,
  context: { bitRate: order.audioBitsPerSecond },
})
await using output = await Muxer.open(order.outputPath)
const stages = { video: [pictureDecoder, pictureEncoder], audio: [soundDecoder, soundEncoder] }
await pipeline({ video: input, audio: input }, stages, { video: output, audio: output }).completion
