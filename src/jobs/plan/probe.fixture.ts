import type { SourceAudio, SourceProbe, SourceVideo } from '#codec/transcoding.ts'
import type { Rendition, Scenario } from '../scenario.ts'

/** Ten minutes of plain 1080p25. */
export function videoOf(fields: Partial<SourceVideo> = {}): SourceVideo {
  return {
    codec: 'h264',
    width: 1920,
    height: 1080,
    pixelFormat: 'yuv420p',
    bitDepth: 8,
    pixelAspect: { num: 1, den: 1 },
    frameRate: { num: 25, den: 1 },
    isVariableRate: false,
    frameCount: 15_000,
    rotationDegrees: 0,
    fieldOrder: 'progressive',
    color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
    keyframeCount: 300,
    longestGopMs: 2000,
    startMs: 0,
    ...fields,
  }
}

export function audioOf(fields: Partial<SourceAudio> = {}): SourceAudio {
  return { track: 0, codec: 'aac', channels: 2, sampleRate: 48_000, startMs: 0, durationMs: 600_000, ...fields }
}

export function probeOf(fields: Partial<SourceProbe> = {}): SourceProbe {
  return { format: 'mov,mp4', durationMs: 600_000, video: videoOf(), audio: [audioOf()], ...fields }
}

export const hdr10Video: Partial<SourceVideo> = {
  bitDepth: 10,
  color: { primaries: 'bt2020', transfer: 'smpte2084', matrix: 'bt2020nc', range: 'tv' },
  hdr: { kind: 'hdr10', masteringDisplay: 'G(1,2)B(1,2)R(1,2)WP(1,2)L(10000000,1)', contentLight: '1000,400' },
}

export function renditionOf(fields: Partial<Rendition> = {}): Rendition {
  return { name: '1080p', height: 1080, codec: 'h264', rate: { mode: 'crf', crf: 21 }, allowUpscale: false, ...fields }
}

export function scenarioOf(fields: Partial<Scenario> = {}): Scenario {
  return {
    name: 'test',
    description: '',
    kind: 'vod',
    format: 'cmaf',
    renditions: [renditionOf()],
    audio: { codec: 'aac', bitsPerSecond: 128_000, channels: 2, sampleRate: 48_000, normalize: false },
    chunkSeconds: 60,
    gopSeconds: 2,
    segmentSeconds: 6,
    deinterlace: 'auto',
    hdr: 'keep',
    pictures: true,
    ...fields,
  }
}
