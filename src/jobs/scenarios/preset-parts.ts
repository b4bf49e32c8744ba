/** What presets are put together from. */
import type { AudioEncoder, Rate, VideoCodec } from '#codec/transcoding.ts'
import type { Rendition, Scenario } from '../scenario.ts'

export const stereo = { codec: 'aac', bitsPerSecond: 160_000, channels: 2, sampleRate: 48_000, normalize: false } as const
/** Stays stereo, with a third of the bits, where the source has no more. */
export const surround: AudioEncoder = { ...stereo, bitsPerSecond: 480_000, channels: 6 }

type CodecTaste = { readonly title: string; readonly crf: number; readonly preset: string }

/** About the same quality with each codec, at a speed that a fleet of plain machines bears. */
export const tastes: Readonly<Record<VideoCodec, CodecTaste>> = {
  h264: { title: 'H.264', crf: 21, preset: 'medium' },
  h265: { title: 'H.265', crf: 24, preset: 'fast' },
  av1: { title: 'AV1', crf: 32, preset: '8' },
  vp9: { title: 'VP9', crf: 32, preset: '4' },
}

/** Constant quality: chunks are those of one pass. */
export function constant(crf: number): Rate {
  return { mode: 'crf', crf }
}

/** The same quality below a ceiling that a connection bears. */
export function capped(crf: number, maxKilobitsPerSecond: number): Rate {
  return { mode: 'capped', crf, maxBitsPerSecond: maxKilobitsPerSecond * 1000, bufferMs: 2000 }
}

type RenditionFields = Pick<Rendition, 'name' | 'height' | 'codec' | 'rate'> & Partial<Rendition>

export function rendition({ name, height, codec, rate, ...rest }: RenditionFields): Rendition {
  return { name, height, codec, rate, preset: tastes[codec].preset, maxFrameRate: 60, allowUpscale: false, ...rest }
}

type ScenarioFields = Pick<Scenario, 'name' | 'description' | 'renditions'> & Partial<Scenario>

export function scenario({ name, description, ...rest }: ScenarioFields): Scenario {
  return { name, description, ...base, ...rest }
}

const base = {
  kind: 'vod',
  format: 'cmaf',
  chunkSeconds: 60,
  gopSeconds: 2,
  segmentSeconds: 6,
  deinterlace: 'auto',
  hdr: 'keep',
  pictures: true,
} as const
