import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PackageFacts, PackageOrder, Rational, TranscodeProgress } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { withAllBadInputs } from './bad-inputs.ts'
import { packageCmaf } from './cmaf.ts'
import { planCuts, secondsOf, times } from './cuts.ts'
import { Meter } from './meter.ts'
import { packageMp4 } from './progressive.ts'
import { verifyPass, type Packaged, type Packaging } from './packaging.ts'
import { StitchedTrack, type OrderedTrack } from './stitched-track.ts'

/** What packaging needs around it. */
export type PackageRun = {
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onProgress: (progress: TranscodeProgress) => void
}

/** Names of tracks become names of files. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/

/**
 * Makes files for players of chunks, reads them back, and says what is in them. Throws `ENCODE_DAMAGED` or `INPUT_DAMAGED` with
 * all inputs at fault in `details.inputs`, `SOURCE_UNREACHABLE`, `REQUEST_INVALID` for an order that cannot be, or the signal's reason.
 */
export async function packageWork(order: PackageOrder, { signal, nowMs, onProgress }: PackageRun): Promise<PackageFacts> {
  requireSound(order)
  const { frameRate, frameCount } = order.timeline
  const duration = times({ num: frameRate.den, den: frameRate.num }, frameCount)
  const passes = order.tracks.flatMap(({ name }) => [name, verifyPass(name)])
  const meter = new Meter({
    passes,
    durationSeconds: secondsOf(duration),
    framesPerSecond: frameRate.num / frameRate.den,
    nowMs,
    onProgress,
  })
  const packaged = await packageTracks({ order, duration, meter, signal }).catch(async (error: unknown) => {
    throw await withAllBadInputs(error, order, { signal, onInput: () => meter.repeat() })
  })
  const files = await Promise.all(
    packaged.files.map(async (file) => ({ ...file, sizeBytes: (await stat(join(order.outputDirectory, file.name))).size })),
  )
  return { entry: packaged.entry, durationMs: secondsOf(duration) * 1000, tracks: packaged.tracks, files }
}

async function packageTracks(work: Omit<Packaging, 'cuts'>): Promise<Packaged> {
  const { order, duration, signal } = work
  const cuts = planCuts({ duration, segmentMs: order.segmentMs, gops: await gopsOf(order, signal) })
  return order.format === 'cmaf' ? await packageCmaf({ ...work, cuts }) : await packageMp4({ ...work, cuts })
}

/**
 * How long the groups of pictures of each rendition last. Each is opened for it and closed again: it may be hours until its turn.
 */
async function gopsOf({ tracks }: PackageOrder, signal: AbortSignal): Promise<Rational[]> {
  const gops: Rational[] = []
  for (const order of tracks) {
    if (order.kind !== 'video') continue
    await using track = await StitchedTrack.open(order, signal)
    gops.push(times(track.timeBase, order.gopFrames))
  }
  return gops
}

function requireSound({ tracks, format }: PackageOrder): void {
  if (tracks.length === 0) throw invalid('it has no tracks')
  for (const { name } of tracks) if (!namePattern.test(name)) throw invalid(`"${name}" cannot be the name of a file`)
  if (new Set(tracks.map(({ name }) => name)).size < tracks.length) throw invalid('two tracks have the same name')
  if (tracks.some((track) => track.kind === 'video' && track.gopFrames === 0)) throw invalid('a track has groups of no pictures')
  if (format === 'mp4' && pictures(tracks) > 1) throw invalid('one MP4 holds one rendition of the picture')
}

function pictures(tracks: readonly OrderedTrack[]): number {
  return tracks.filter(({ kind }) => kind === 'video').length
}

function invalid(why: string): AppError {
  return new AppError('REQUEST_INVALID', `the order cannot be packaged: ${why}`)
}
