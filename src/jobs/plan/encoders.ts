/** The encoders that Millrace knows how to ask for. */
import type { VideoCodec } from '#codec/transcoding.ts'

export type EncoderFacts = {
  /** In FFmpeg. */
  readonly name: string
  readonly isHardware: boolean
  /** What it gets as preset where nobody says otherwise. */
  readonly preset: string
  /** Words that it takes as preset. */
  readonly presets: RegExp
}

type CodecEncoders = { readonly software: EncoderFacts; /** Best first. */ readonly hardware: readonly EncoderFacts[] }

const x26xPresets = /^(ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo)$/
const nvenc = { isHardware: true, preset: 'p5', presets: /^p[1-7]$/ } as const
const qsv = { isHardware: true, preset: 'medium', presets: /^(veryfast|faster|fast|medium|slow|slower|veryslow)$/ } as const
/** VA-API has no presets; the word is not used. */
const vaapi = { isHardware: true, preset: 'medium', presets: /^medium$/ } as const

const encoders: Readonly<Record<VideoCodec, CodecEncoders>> = {
  h264: {
    software: { name: 'libx264', isHardware: false, preset: 'medium', presets: x26xPresets },
    hardware: [
      { name: 'h264_nvenc', ...nvenc },
      { name: 'h264_qsv', ...qsv },
      { name: 'h264_vaapi', ...vaapi },
    ],
  },
  h265: {
    software: { name: 'libx265', isHardware: false, preset: 'medium', presets: x26xPresets },
    hardware: [
      { name: 'hevc_nvenc', ...nvenc },
      { name: 'hevc_qsv', ...qsv },
      { name: 'hevc_vaapi', ...vaapi },
    ],
  },
  av1: {
    software: { name: 'libsvtav1', isHardware: false, preset: '8', presets: /^(\d|1[0-3])$/ },
    hardware: [
      { name: 'av1_nvenc', ...nvenc },
      { name: 'av1_qsv', ...qsv },
      { name: 'av1_vaapi', ...vaapi },
    ],
  },
  vp9: {
    software: { name: 'libvpx-vp9', isHardware: false, preset: '4', presets: /^[0-8]$/ },
    hardware: [
      { name: 'vp9_qsv', ...qsv },
      { name: 'vp9_vaapi', ...vaapi },
    ],
  },
}

export function softwareEncoder(codec: VideoCodec): EncoderFacts {
  return encoders[codec].software
}

/** Best first. */
export function hardwareEncoders(codec: VideoCodec): readonly EncoderFacts[] {
  return encoders[codec].hardware
}

/** Undefined: no such encoder, or it is of another codec. */
export function findEncoder(codec: VideoCodec, name: string): EncoderFacts | undefined {
  const { software, hardware } = encoders[codec]
  return [software, ...hardware].find((encoder) => encoder.name === name)
}
