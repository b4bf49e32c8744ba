/** Which sounds of a source are encoded, and how. */
import type { AudioEncoder, SourceAudio } from '#codec/transcoding.ts'
import type { PlannedAudio } from './plan.ts'

/** Languages and commentaries of one film; more are left out. */
const mostTracks = 16
/** Below this, speech suffers; a target that is lower by itself stays as it is. */
const fewestBitsPerSecond = 32_000

/** All sounds of the source in its order; the first is the default. Never more channels than the source has. */
export function planAudio(tracks: readonly SourceAudio[], wanted: AudioEncoder | undefined): readonly PlannedAudio[] {
  if (wanted === undefined) return []
  return tracks.slice(0, mostTracks).map(({ track, channels, language, title }, index) => ({
    name: `audio-${track}`,
    track,
    audio: withChannels(wanted, channels),
    language,
    title,
    isDefault: index === 0,
  }))
}

/** With fewer channels as many bits for each. */
function withChannels(wanted: AudioEncoder, sourceChannels: number): AudioEncoder {
  const channels = ([6, 2, 1] as const).find((count) => count <= sourceChannels && count <= wanted.channels) ?? 1
  const share = Math.round((wanted.bitsPerSecond * channels) / wanted.channels)
  const bitsPerSecond = Math.max(share, Math.min(wanted.bitsPerSecond, fewestBitsPerSecond))
  return { ...wanted, channels, bitsPerSecond }
}
