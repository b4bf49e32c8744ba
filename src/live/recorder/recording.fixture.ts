/** Media and a database for the tests of recorder and playback: real parts from the real packager. */
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { openDatabase } from '#store/sql/database.ts'
import { type ArchiveObjects, SegmentArchive } from '../archive/segment-archive.ts'
import type { StreamEvent } from '../events.ts'
import type { PackagerListener } from '../packager/cmaf.ts'
import { Packager } from '../packager/packager.ts'
import { sqlRecordingIndex } from './queries.ts'
import type { RecordingIndex } from './recording-index.ts'

export const silentLog = createLog({ level: 'silent', pretty: false })

/** 320x180, High profile, by x264. */
const h264 = {
  codec: 'h264',
  sps: Buffer.from('6764000dacd941419f9f011000000300100000030320f1429960', 'hex'),
  pps: Buffer.from('68ebe3cb22c0', 'hex'),
} as const
const aac = { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 } as const

export const videoTrack: Track = { id: 1, kind: 'video', clockRateHz: 90_000, parameters: h264 }
export const audioTrack: Track = { id: 2, kind: 'audio', clockRateHz: 48_000, parameters: aac }
/** The same picture with other parameters. */
export const changedTrack: Track = { ...videoTrack, parameters: { ...h264, pps: Buffer.from('68ebe3cb22c1', 'hex') } }

/** Wall time of stream time 0 in these tests. */
export const epochMs = Date.UTC(2026, 0, 31, 13, 5, 9, 123)

export type MediaOptions = {
  readonly fromMs?: number
  readonly seconds?: number
  /** Frames from keyframe to keyframe, at 25 fps. */
  readonly gop?: number
  readonly frameBytes?: number
  readonly video?: Track
  readonly audio?: Track | undefined
  readonly compositionMs?: number
}

/** Video at 25 fps and AAC, in the order of their decode times. No byte of the data is 0, and no two frames are alike. */
export function* media(options: MediaOptions = {}): Generator<AccessUnit> {
  const { fromMs = 10_000, seconds = 4, gop = 25, frameBytes = 300, video = videoTrack, compositionMs = 0 } = options
  const audio = 'audio' in options ? options.audio : audioTrack
  const frameMs = audio ? (1024 * 1000) / audio.clockRateHz : Infinity
  let sounds = 0
  for (let frame = 0; frame < seconds * 25; frame++) {
    const atMs = fromMs + frame * 40
    yield unit({ track: video, atMs, isKeyframe: frame % gop === 0, sizeBytes: frameBytes + (frame % 7), compositionMs })
    for (; audio && fromMs + sounds * frameMs < atMs + 40; sounds++) {
      yield unit({
        track: audio,
        atMs: fromMs + sounds * frameMs,
        isKeyframe: true,
        sizeBytes: 20 + (sounds % 5),
        compositionMs: 0,
      })
    }
  }
}

type UnitOptions = { track: Track; atMs: number; isKeyframe: boolean; sizeBytes: number; compositionMs: number }

function unit({ track, atMs, isKeyframe, sizeBytes, compositionMs }: UnitOptions): AccessUnit {
  const dtsTicks = Math.round((atMs * track.clockRateHz) / 1000)
  const data = Buffer.allocUnsafeSlow(sizeBytes)
  for (let i = 0; i < sizeBytes; i++) data[i] = 1 + ((dtsTicks + i * 31) % 255)
  if (track.kind === 'video') {
    data.writeUInt32BE(sizeBytes - 4, 0)
    data[4] = isKeyframe ? 0x65 : 0x41
  }
  const ptsTicks = dtsTicks + Math.round((compositionMs * track.clockRateHz) / 1000)
  return { track, dtsTicks, ptsTicks, ntpMs: epochMs + atMs, isKeyframe, data }
}

export function packager(tracks: readonly Track[] = [videoTrack, audioTrack]): Packager {
  return new Packager({ tracks, settings: { partMilliseconds: 200, segmentSeconds: 1 } })
}

/** Packages all of it and ends the packager, telling the listeners. */
export function packageInto(listeners: readonly PackagerListener[], options: MediaOptions = {}): void {
  const { video = videoTrack } = options
  const audio = 'audio' in options ? options.audio : audioTrack
  const made = packager(audio ? [video, audio] : [video])
  for (const listener of listeners) made.addListener(listener)
  for (const one of media(options)) made.write(one)
  made.close()
}

/** An index on a fresh SQLite database. */
export async function openIndex(
  path?: string,
): Promise<{ readonly index: RecordingIndex; [Symbol.asyncDispose](): Promise<void> }> {
  const database = await openDatabase({ url: path === undefined ? 'sqlite::memory:' : `sqlite://${path}`, log: silentLog })
  return { index: sqlRecordingIndex(database.db), [Symbol.asyncDispose]: async () => await database[Symbol.asyncDispose]() }
}

/** An archive of the recordings in `directory`, in another directory. */
export async function openArchive(
  directory: string,
): Promise<{ readonly objects: ArchiveObjects; readonly archive: SegmentArchive; readonly objectsDirectory: string }> {
  const objectsDirectory = `${directory}.objects`
  const objects = await DirectoryStore.open({ directory: objectsDirectory, clock: systemClock })
  return { objects, archive: new SegmentArchive({ objects, directory }), objectsDirectory }
}

export function eventList(): { readonly events: StreamEvent[]; emit(event: StreamEvent): void } {
  const events: StreamEvent[] = []
  return { events, emit: (event) => void events.push(event) }
}
