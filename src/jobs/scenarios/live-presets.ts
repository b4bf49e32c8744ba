/** Presets for live jobs: a stream in, a smaller one out, within a second. */
import type { Scenario } from '../scenario.ts'
import { capped, rendition, scenario, stereo, tastes } from './preset-parts.ts'

const shapes = [
  { name: 'live-1080p60', height: 1080, maxFrameRate: 60, maxKilobitsPerSecond: 8000 },
  { name: 'live-1080p30', height: 1080, maxFrameRate: 30, maxKilobitsPerSecond: 5000 },
  { name: 'live-720p60', height: 720, maxFrameRate: 60, maxKilobitsPerSecond: 4500 },
  { name: 'live-720p30', height: 720, maxFrameRate: 30, maxKilobitsPerSecond: 3000 },
  { name: 'live-480p30', height: 480, maxFrameRate: 30, maxKilobitsPerSecond: 1200 },
] as const

/** Fast enough for one machine to hold several. */
const livePreset = 'veryfast'

export const livePresets: readonly Scenario[] = shapes.flatMap((shape) => [
  live(shape, shape.name, {}),
  live(shape, `${shape.name}-auto`, { encoder: 'auto' }),
])

function live(
  { height, maxFrameRate, maxKilobitsPerSecond }: (typeof shapes)[number],
  name: string,
  encoder: { readonly encoder?: 'auto' },
): Scenario {
  const where = encoder.encoder ? '; on hardware where a worker has it' : ''
  const rate = capped(tastes.h264.crf + 2, maxKilobitsPerSecond)
  return scenario({
    name,
    description: `A live stream at up to ${height} lines and ${maxFrameRate} frames a second, H.264, low latency${where}`,
    kind: 'live',
    renditions: [rendition({ name: `${height}p`, height, codec: 'h264', rate, preset: livePreset, maxFrameRate, ...encoder })],
    audio: { ...stereo, bitsPerSecond: 128_000 },
    chunkSeconds: 0,
    gopSeconds: 1,
    segmentSeconds: 1,
    pictures: false,
  })
}
