/** Presets with many renditions, from which a player chooses by its connection. */
import type { VideoCodec } from '#codec/transcoding.ts'
import type { Scenario } from '../scenario.ts'
import { capped, rendition, scenario, stereo, tastes } from './preset-parts.ts'

type Rung = readonly [name: string, height: number, maxKilobitsPerSecond: number]

/** After Apple's table for H.264 (HLS Authoring Specification): each step costs a player about 1.5 to 2 times the one below. */
const h264Rungs: readonly Rung[] = [
  ['1080p', 1080, 7800],
  ['720p-high', 720, 4500],
  ['720p', 720, 3000],
  ['540p', 540, 2000],
  ['432p-high', 432, 1100],
  ['432p', 432, 730],
  ['360p', 360, 365],
  ['234p', 234, 145],
]

/** After Apple's table for HEVC. */
const h265Rungs: readonly Rung[] = [
  ['2160p', 2160, 16_000],
  ['1440p', 1440, 8100],
  ['1080p', 1080, 4500],
  ['720p', 720, 2400],
  ['540p-high', 540, 1200],
  ['540p', 540, 600],
  ['432p', 432, 300],
  ['360p', 360, 145],
]

const av1Rungs: readonly Rung[] = [
  ['2160p', 2160, 10_000],
  ['1440p', 1440, 5500],
  ['1080p', 1080, 3000],
  ['720p-high', 720, 1600],
  ['720p', 720, 900],
  ['480p', 480, 400],
  ['360p', 360, 200],
]

export const ladderPresets: readonly Scenario[] = [
  ladder('abr-ladder', 'h264', h264Rungs),
  ladder('abr-ladder-h265', 'h265', h265Rungs),
  ladder('abr-ladder-av1', 'av1', av1Rungs),
]

function ladder(name: string, codec: VideoCodec, rungs: readonly Rung[]): Scenario {
  const { title, crf } = tastes[codec]
  const most = Math.max(...rungs.map(([, height]) => height))
  return scenario({
    name,
    description: `HLS and DASH ladder up to ${most} lines, ${title}; rungs above the source are left out`,
    renditions: rungs.map(([rung, height, ceiling]) => rendition({ name: rung, height, codec, rate: capped(crf, ceiling) })),
    audio: stereo,
  })
}
