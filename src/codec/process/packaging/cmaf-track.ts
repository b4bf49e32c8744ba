import type { Rational } from '#codec/transcoding.ts'
import type { CmafTrack } from '#formats/mp4/cmaf-header.ts'
import { CmafFile, type CmafLayout } from './cmaf-file.ts'
import { cutTicks, secondsOf, type Cuts } from './cuts.ts'
import type { Meter } from './meter.ts'
import { sampleEntryOf } from './sample-entry.ts'
import type { Sample, StitchedTrack } from './stitched-track.ts'
import { trackError } from './track-error.ts'

export type CmafTrackOptions = {
  readonly path: string
  readonly cuts: Cuts
  /** Of the whole work, in seconds. Sound that begins later is left out: encoders end with a packet of nothing. */
  readonly duration: Rational
  readonly meter: Meter
}

export type WrittenTrack = {
  readonly layout: CmafLayout
  readonly sampleEntry: Buffer
  readonly endSeconds: number
}

/**
 * Writes one track as a CMAF file: one fragment for each group of pictures, or for the sound of each segment. Throws as
 * `StitchedTrack.samples`.
 */
export async function writeCmafTrack(track: StitchedTrack, options: CmafTrackOptions): Promise<WrittenTrack> {
  const samples = track.samples()
  const first = await samples.next()
  if (first.done) throw trackError(track.order.name, 'it has no samples')
  const scale = scaleOf(track.timeBase)
  const sampleEntry = await sampleEntryOf(track.stream)
  const mediaStartTicks = leadTicks(first.value) * scale * track.timeBase.num
  await using file = await CmafFile.create(options.path, {
    track: headerOf(track, { sampleEntry, mediaStartTicks, scale }),
    segmentCount: options.cuts.segmentCount,
  })
  const context = { track, file, scale, mediaStartTicks, ...options }
  const all = withFirst(first.value, samples)
  const endTicks =
    track.order.kind === 'video' ? await writePictures(all, context, track.order.gopFrames) : await writeSound(all, context)
  const layout = await file.finish(Math.max(0, first.value.ptsTicks) * scale * track.timeBase.num)
  return { layout, sampleEntry, endSeconds: endTicks * secondsOf(track.timeBase) }
}

type Context = CmafTrackOptions & {
  readonly track: StitchedTrack
  readonly file: CmafFile
  readonly scale: number
  readonly mediaStartTicks: number
}

/** What an encoder needs before the first sample that is shown or heard: to put frames out of order, or to begin with sound. */
export function leadTicks({ dtsTicks, ptsTicks }: Sample): number {
  return Math.max(0, -dtsTicks, -ptsTicks)
}

/** Decode times count the frames in coding order. Returns the end of the last frame. */
async function writePictures(samples: AsyncIterable<Sample>, context: Context, gopFrames: number): Promise<number> {
  const { track, file, scale, cuts, meter, mediaStartTicks } = context
  const frameTicks = scale * track.timeBase.num
  let frames = 0
  let groupStart = 0
  let segments = 0
  const shownLater = (ptsTicks: number) => {
    const laterTicks = (ptsTicks - frames) * frameTicks + mediaStartTicks
    if (laterTicks >= 0) return laterTicks
    throw trackError(track.order.name, `frame ${frames} is shown earlier than its encoder's delay allows`)
  }
  const endGroup = async () => {
    const isSegmentStart = groupStart >= Math.round(cutTicks(cuts, segments, track.timeBase))
    if (isSegmentStart) segments += 1
    const times = { decodeTicks: groupStart * frameTicks, shownTicks: (frames - groupStart) * frameTicks }
    await file.endFragment(times, isSegmentStart)
    groupStart = frames
    meter.reach(track.order.name, frames * secondsOf(track.timeBase))
  }
  for await (const { data, isKeyframe, ptsTicks } of samples) {
    if (frames - groupStart === gopFrames) await endGroup()
    file.add({ data, isKeyframe, durationTicks: frameTicks, compositionOffsetTicks: shownLater(ptsTicks) })
    frames += 1
  }
  await endGroup()
  return frames
}

/** A segment of sound begins with the packet that begins nearest to the cut. Returns the end of the last packet. */
async function writeSound(samples: AsyncIterable<Sample>, context: Context): Promise<number> {
  const { track, file, scale, cuts, meter, duration, mediaStartTicks } = context
  const tickSeconds = secondsOf(track.timeBase)
  const endTicks = secondsOf(duration) / tickSeconds
  let segmentStart: number | undefined
  let nextCut = 1
  let reachedTicks = 0
  const endSegment = async () => {
    if (segmentStart === undefined) return
    const shownTicks = (reachedTicks - Math.max(0, segmentStart)) * scale
    await file.endFragment({ decodeTicks: segmentStart * scale + mediaStartTicks, shownTicks }, true)
    segmentStart = undefined
    meter.reach(track.order.name, reachedTicks * tickSeconds)
  }
  for await (const sample of samples) {
    if (sample.ptsTicks >= endTicks) continue
    const isNearCut = sample.ptsTicks + sample.durationTicks / 2 >= cutTicks(cuts, nextCut, track.timeBase)
    if (isNearCut && nextCut < cuts.segmentCount) {
      await endSegment()
      nextCut += 1
    }
    segmentStart ??= sample.ptsTicks
    const durationTicks = sample.durationTicks * scale
    file.add({ data: sample.data, durationTicks, compositionOffsetTicks: 0, isKeyframe: true })
    reachedTicks = sample.ptsTicks + sample.durationTicks
  }
  await endSegment()
  return reachedTicks
}

function headerOf(
  { stream, order, timeBase }: StitchedTrack,
  { sampleEntry, mediaStartTicks, scale }: { sampleEntry: Buffer; mediaStartTicks: number; scale: number },
): CmafTrack {
  return {
    kind: stream.kind,
    timescaleHz: timeBase.den * scale,
    sampleEntry,
    width: stream.kind === 'video' ? stream.width : 0,
    height: stream.kind === 'video' ? stream.height : 0,
    language: order.kind === 'audio' ? (order.language ?? 'und') : 'und',
    mediaStartTicks,
  }
}

/** Players count in milliseconds and finer: a timescale of 25 is made 25,000. */
function scaleOf({ den }: Rational): number {
  return den >= 10_000 ? 1 : 1000
}

async function* withFirst<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield first
  yield* rest
}
