import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mpdContentType, renderMpd } from '#formats/dash/mpd.ts'
import { renderFilePlaylist, targetDurationOf } from '#formats/hls/file-playlist.ts'
import { renderMasterPlaylist } from '#formats/hls/master-playlist.ts'
import { playlistContentType } from '#formats/hls/media-playlist.ts'
import { averageBitsPerSecond, peakBitsPerSecond } from './bit-rates.ts'
import type { CmafLayout, FileStretch } from './cmaf-file.ts'
import { writeCmafTrack } from './cmaf-track.ts'
import { decodedRanges } from './decoded-ranges.ts'
import { requireDuration } from './durations.ts'
import { playerTrack, toDashAudio, toDashVideo, toMasterAudio, toMasterVideo, type PlayerTrack } from './player-track.ts'
import { verifyPass, type OutputFile, type Packaged, type Packaging } from './packaging.ts'
import { secondsOf } from './cuts.ts'
import { StitchedTrack, type OrderedTrack } from './stitched-track.ts'
import { framesOf, verifyFile } from './verify-file.ts'

const masterName = 'master.m3u8'
const manifestName = 'manifest.mpd'

/** One fragmented MP4 for each track, with the playlists of HLS and the manifest of DASH over the same bytes. */
export async function packageCmaf(packaging: Packaging): Promise<Packaged> {
  const { order } = packaging
  const tracks: PlayerTrack[] = []
  for (const ordered of order.tracks) tracks.push(await packageTrack(ordered, packaging))
  const targetSeconds = targetDurationOf(
    tracks.flatMap(({ layout }) => layout.segments.map((each) => shownSeconds(layout, each))),
  )
  const files: OutputFile[] = []
  const write = async (name: string, contentType: string, text: string) => {
    await writeFile(join(order.outputDirectory, name), text)
    files.push({ name, contentType })
  }
  for (const track of tracks) {
    files.push({ name: track.fileName, contentType: `${track.stream.kind}/mp4` })
    await write(track.playlistName, playlistContentType, mediaPlaylist(track, targetSeconds))
    if (track.order.kind === 'video') await write(track.iframesName, playlistContentType, iframePlaylist(track))
  }
  const video = tracks.flatMap((track) => toMasterVideo(track, targetSeconds) ?? [])
  const audio = tracks.flatMap((track) => toMasterAudio(track, targetSeconds) ?? [])
  await write(masterName, playlistContentType, renderMasterPlaylist({ video, audio: withUniqueNames(audio) }))
  const mpd = renderMpd({
    durationSeconds: secondsOf(packaging.duration),
    video: tracks.flatMap((track) => toDashVideo(track, targetSeconds) ?? []),
    audio: tracks.flatMap((track) => toDashAudio(track, targetSeconds) ?? []),
  })
  await write(manifestName, mpdContentType, mpd)
  return { entry: masterName, files, tracks: tracks.map((track) => factsOf(track, targetSeconds)) }
}

async function packageTrack(
  order: OrderedTrack,
  { cuts, duration, meter, signal, order: whole }: Packaging,
): Promise<PlayerTrack> {
  await using track = await StitchedTrack.open(order, signal)
  const path = join(whole.outputDirectory, `${order.name}.mp4`)
  const written = await writeCmafTrack(track, { path, cuts, duration, meter })
  requireDuration(track, written.endSeconds, whole.timeline)
  const { sampleCount, crc32 } = written.layout
  await verifyFile(
    path,
    [
      {
        name: order.name,
        kind: order.kind,
        sampleCount,
        crc32,
        ...framesOf(track),
        decoded: decodedRanges(track, sampleCount),
        pass: verifyPass(order.name),
      },
    ],
    { meter, signal },
  )
  return playerTrack(track, written)
}

function mediaPlaylist({ fileName, layout }: PlayerTrack, targetDurationSeconds: number): string {
  return renderFilePlaylist({
    uri: fileName,
    initByteRange: layout.init,
    targetDurationSeconds,
    segments: layout.segments.map((segment) => ({ ...segment, durationSeconds: shownSeconds(layout, segment) })),
  })
}

function iframePlaylist({ fileName, layout }: PlayerTrack): string {
  const segments = layout.iframes.map((iframe) => ({ ...iframe, durationSeconds: shownSeconds(layout, iframe) }))
  return renderFilePlaylist({
    uri: fileName,
    initByteRange: layout.init,
    targetDurationSeconds: targetDurationOf(segments.map(({ durationSeconds }) => durationSeconds)),
    segments,
    isIframesOnly: true,
  })
}

function factsOf({ order, stream, layout, codecs, segments }: PlayerTrack, targetSeconds: number): Packaged['tracks'][number] {
  return {
    name: order.name,
    kind: order.kind,
    codecs,
    ...(stream.kind === 'video' ? { width: stream.width, height: stream.height } : {}),
    frameCount: layout.sampleCount,
    durationMs: segments.reduce((sum, { durationSeconds }) => sum + durationSeconds * 1000, 0),
    sizeBytes: layout.sizeBytes,
    averageBitsPerSecond: averageBitsPerSecond(segments),
    peakBitsPerSecond: peakBitsPerSecond(segments, targetSeconds),
  }
}

/** RFC 8216 §4.3.4.1.1: no two of a group have the same name. */
function withUniqueNames<T extends { readonly name: string }>(tracks: readonly T[]): T[] {
  const taken = new Set<string>()
  return tracks.map((track) => {
    let name = track.name
    for (let number = 2; taken.has(name); number++) name = `${track.name} ${number}`
    taken.add(name)
    return { ...track, name }
  })
}

function shownSeconds({ timescaleHz }: CmafLayout, { durationTicks }: FileStretch): number {
  return durationTicks / timescaleHz
}
