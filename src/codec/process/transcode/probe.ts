import { AV_NOPTS_VALUE, AVMEDIA_TYPE_AUDIO } from 'node-av/constants'
import { avGetCodecName, Packet, type Stream } from 'node-av/lib'
import type { SourceAudio, SourceProbe, SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { frameTimes, type FrameTimes } from './frame-times.ts'
import { MediaInput, type Run } from './media-input.ts'
import { lookAtPictures } from './picture-look.ts'
import { PacketTrail } from './packet-trail.ts'
import { findVideo } from './video-source.ts'

/** Where in the file reading is tried from the middle, as parts of its length. */
const tries = [0.2, 0.5, 0.8]

/**
 * Reads all packets of a source and a few of its pictures, and says what it has. Throws `UNSUPPORTED` when there is neither video nor audio, `TRUNCATED` when
 * the file is shorter than its index says, and what `MediaInput` throws.
 */
export async function probeSource(url: string, run: Run): Promise<SourceProbe> {
  await using input = await MediaInput.open(url, run)
  const video = findVideo(input)
  const audio = input.streams.filter(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_AUDIO)
  const streams = [...(video ? [video] : []), ...audio]
  if (streams.length === 0) throw new AppError('UNSUPPORTED', 'the source has neither video nor audio')
  const trails = await readTrails(input, streams)
  const used = [...trails.values()].filter(({ packetCount }) => packetCount > 0)
  if (used.length === 0) throw new AppError('MALFORMED', 'the source has tracks but no packet of them')
  const startMs = Math.min(...used.map((trail) => trail.startMs))
  const endMs = Math.max(...used.map((trail) => trail.endMs))
  const sizeBytes = await input.sizeBytes()
  const videoTrail = video && trails.get(video.index)
  const times = videoTrail && videoTrail.packetCount > 0 ? frameTimes(videoTrail) : undefined
  const notSeekable = video && videoTrail && times ? await whyNotSeekable(input, video, videoTrail, times) : undefined
  return {
    format: input.formatName,
    durationMs: endMs - startMs,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(video && videoTrail && times
      ? { video: await describeVideo(url, run, { stream: video, trail: videoTrail, times }) }
      : {}),
    audio: audio.flatMap((stream, track) => describeAudio(stream, track, trails.get(stream.index))),
    ...(notSeekable === undefined ? {} : { notSeekable }),
  }
}

async function readTrails(input: MediaInput, streams: readonly Stream[]): Promise<Map<number, PacketTrail>> {
  const trails = new Map(streams.map((stream) => [stream.index, new PacketTrail(stream)]))
  using packet = new Packet()
  packet.alloc()
  while (await input.read(packet)) trails.get(packet.streamIndex)?.add(packet)
  for (const stream of streams) requireWhole(stream, trails.get(stream.index))
  return trails
}

/** MP4 says in its index how many packets there are. */
function requireWhole({ index, nbFrames }: Stream, trail: PacketTrail | undefined): void {
  const expected = Number(nbFrames)
  const missing = expected - (trail?.readCount ?? 0)
  if (missing <= 1) return
  throw new AppError(
    'TRUNCATED',
    `track ${index} of the source has ${expected} packets by its index, and ${missing} of them are missing`,
  )
}

async function describeVideo(
  url: string,
  run: Run,
  { stream, trail, times }: { stream: Stream; trail: PacketTrail; times: FrameTimes },
): Promise<SourceVideo> {
  const { codecpar } = stream
  return {
    codec: avGetCodecName(codecpar.codecId) ?? 'unknown',
    width: codecpar.width,
    height: codecpar.height,
    frameRate: times.frameRate,
    isVariableRate: times.isVariableRate,
    frameCount: trail.packetCount,
    keyframeCount: trail.keyframes.length,
    longestGopMs: times.longestGopMs,
    startMs: trail.startMs,
    ...(await lookAtPictures(url, run)),
  }
}

function describeAudio(stream: Stream, track: number, trail: PacketTrail | undefined): SourceAudio[] {
  if (!trail || trail.packetCount === 0) return []
  const { codecpar, metadata } = stream
  const language = metadata?.get('language')
  const title = metadata?.get('title')
  return [
    {
      track,
      codec: avGetCodecName(codecpar.codecId) ?? 'unknown',
      channels: Math.max(1, codecpar.channels),
      sampleRate: Math.max(1, codecpar.sampleRate),
      ...(language && language !== 'und' ? { language } : {}),
      ...(title ? { title } : {}),
      startMs: trail.startMs,
      durationMs: trail.endMs - trail.startMs,
    },
  ]
}

/** Tries what a chunk does: go to a place and find a keyframe there that the whole reading found too. */
async function whyNotSeekable(
  input: MediaInput,
  stream: Stream,
  trail: PacketTrail,
  times: FrameTimes,
): Promise<string | undefined> {
  if (trail.hasUntimed) return 'some of its pictures have no time'
  if (times.hasJump) return 'its times jump'
  if (trail.keyframes.length === 0) return 'it has no keyframes'
  const keyframes = new Set(trail.keyframes)
  using packet = new Packet()
  packet.alloc()
  for (const part of tries) {
    const wanted = Math.round(times.firstTicks + (times.lastTicks - times.firstTicks) * part)
    if (!(await input.seek(stream, wanted))) return 'its container cannot be entered in the middle'
    const found = await readKeyframe(input, stream, packet)
    if (found !== undefined && !keyframes.has(found)) return 'its times are others when it is entered in the middle'
  }
  return undefined
}

async function readKeyframe(input: MediaInput, stream: Stream, packet: Packet): Promise<number | undefined> {
  while (await input.read(packet)) {
    if (packet.streamIndex === stream.index && packet.isKeyframe) return packet.pts === AV_NOPTS_VALUE ? NaN : Number(packet.pts)
  }
  return undefined
}
