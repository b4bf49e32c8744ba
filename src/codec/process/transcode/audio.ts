import type { Frame } from 'node-av/lib'
import type { AudioFacts, AudioOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { AudioEncoding } from './audio-encoding.ts'
import { AudioSource } from './audio-source.ts'
import type { ChunkPacket } from './chunk-format.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { FilterPipe } from './filter-pipe.ts'
import { gainFor, Loudness } from './loudness.ts'
import { MediaInput } from './media-input.ts'
import { Pauses } from './pauses.ts'
import type { OrderRun } from './video.ts'

const layouts = { 1: 'mono', 2: 'stereo', 6: '5.1' } as const
/** Where times are off by more than this, silence is put in or sound left out. */
const maxDriftSeconds = 0.02

/**
 * Encodes one audio track of the clip, from its first sample to its last: exactly as long as ordered, with silence where the source has no sound. Sound that is
 * normalised is read twice. Throws the source's errors as `MediaInput` does.
 */
export async function encodeAudio(order: AudioOrder, run: OrderRun): Promise<AudioFacts> {
  const { audio, durationMs } = order
  const samples = Math.round((durationMs * audio.sampleRate) / 1000)
  using encoding = new AudioEncoding(audio)
  const passes = audio.normalize ? 2 : 1
  const frames = Math.ceil(samples / encoding.frameSamples)
  let done = 0
  const count = () => run.onProgress({ frames: Math.min((done += 1), frames * passes), totalFrames: frames * passes })
  const shape = { samples, frameSamples: encoding.frameSamples, sampleFormat: encoding.sampleFormat, gainDecibels: 0 }
  const gainDecibels = audio.normalize ? await measureGain(order, shape, run, count) : 0
  await using writer = await ChunkWriter.open(order.outputPath, encoding.stream)
  let lastDts = -Infinity
  const keep = async (packets: Iterable<ChunkPacket>) => {
    for (const packet of packets) {
      if (packet.dts <= lastDts)
        throw new AppError('ENCODE_DAMAGED', `sound at sample ${packet.dts} comes behind sample ${lastDts}`)
      lastDts = packet.dts
      await writer.write(packet)
    }
  }
  for await (const frame of shapedFrames(order, { ...shape, gainDecibels }, run)) {
    await keep(encoding.encode(frame))
    count()
  }
  await keep(encoding.encode(null))
  const { sizeBytes, sha256 } = await writer.close()
  return { durationMs: (samples * 1000) / audio.sampleRate, sizeBytes, sha256 }
}

/** How many decibels louder the clip must become. */
async function measureGain(order: AudioOrder, shape: Shape, run: OrderRun, count: () => void): Promise<number> {
  using loudness = new Loudness(order.audio.sampleRate, layouts[order.audio.channels], shape.sampleFormat)
  for await (const frame of shapedFrames(order, shape, run)) {
    loudness.add(frame)
    count()
  }
  return gainFor(loudness.finish())
}

type Shape = {
  readonly samples: number
  readonly frameSamples: number
  readonly sampleFormat: string
  readonly gainDecibels: number
}

/** The clip's sound as the encoder takes it: exactly `samples` of them, the first at time 0. */
async function* shapedFrames(order: AudioOrder, shape: Shape, run: OrderRun): AsyncGenerator<Frame> {
  const { sampleRate, channels } = order.audio
  const format = { sampleRate, layout: layouts[channels] }
  await using input = await MediaInput.open(order.sourceUrl, run)
  using source = new AudioSource(input, { track: order.track, startMs: order.startMs, format })
  await source.seek()
  using pipe = new FilterPipe('audio', `[in]${placing(shape)},${trimming(shape)}[out]`, {
    in: `time_base=1/${sampleRate}:sample_rate=${sampleRate}:sample_fmt=fltp:channel_layout=${format.layout}`,
  })
  const pauses = new Pauses(run.signal)
  let given = 0
  for (let isEnding = false; !isEnding && given < shape.samples;) {
    const block = await source.next()
    if (block) pipe.push('in', block)
    else pipe.push('in', null)
    isEnding = !block
    for (let frame = pipe.pull(); frame; frame = pipe.pull()) {
      // What is padded has no time of its own; all samples follow one another.
      frame.pts = BigInt(given)
      given += frame.nbSamples
      run.onMoved()
      yield frame
      await pauses.next()
    }
  }
  if (given === 0) yield* silence(format, shape)
}

/** Silence is put in before late sound and into holes, early sound is left out; then it is made louder. */
function placing({ gainDecibels }: Shape): string {
  const placed = `aresample=async=1:min_hard_comp=${maxDriftSeconds}:first_pts=0`
  return gainDecibels === 0 ? placed : `${placed},volume=${gainDecibels}dB:precision=float`
}

function trimming({ samples, frameSamples, sampleFormat }: Shape): string {
  return `apad=whole_len=${samples},atrim=end_sample=${samples},aformat=sample_fmts=${sampleFormat},asetnsamples=n=${frameSamples}:p=0`
}

/** For a track without any sound in the clip. */
function* silence({ sampleRate, layout }: { sampleRate: number; layout: string }, shape: Shape): Generator<Frame> {
  using pipe = new FilterPipe('audio', `anullsrc=r=${sampleRate}:cl=${layout},${trimming(shape)}[out]`, {})
  for (let frame = pipe.pull(); frame; frame = pipe.pull()) yield frame
}
