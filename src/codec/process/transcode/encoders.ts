import { Filter } from 'node-av/lib'
import type { EncoderList, VideoCodec, VideoEncoder } from '#codec/transcoding.ts'
import { FilterPipe } from './filter-pipe.ts'
import { AudioEncoding } from './audio-encoding.ts'
import { pixelFormatOf } from './encoder-options.ts'
import { VideoEncoding } from './video-encoding.ts'

const frameRate = { num: 25, den: 1 }
const size = { width: 320, height: 192 }
const triedFrames = 4
/** Filters that Millrace uses and that not every build has. */
const optionalFilters = ['libvmaf']

/** Which of these encoders, by FFmpeg's names, make packets here: one that is listed but has no device is left out. */
export function tryEncoders(names: readonly string[]): EncoderList {
  const encoders = names.filter((name) => {
    try {
      return name === 'aac' || name === 'libopus' ? tryAudio(name) : tryVideo(name)
    } catch {
      return false
    }
  })
  return { encoders, filters: optionalFilters.filter((name) => Filter.getByName(name) !== null) }
}

function tryAudio(name: 'aac' | 'libopus'): boolean {
  const codec = name === 'aac' ? 'aac' : 'opus'
  using encoding = new AudioEncoding({ codec, bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false })
  const block = `aformat=sample_fmts=${encoding.sampleFormat},asetnsamples=n=${encoding.frameSamples}:p=0`
  using pipe = new FilterPipe('audio', `anullsrc=r=48000:cl=stereo:d=0.2,${block}[out]`, {})
  let packets = 0
  for (let frame = pipe.pull(); frame; frame = pipe.pull()) packets += [...encoding.encode(frame)].length
  return packets + [...encoding.encode(null)].length > 0
}

function tryVideo(name: string): boolean {
  const video = sampleEncoder(name)
  using encoding = new VideoEncoding({ video, ...size, frameRate })
  const filters = `testsrc2=size=${size.width}x${size.height}:rate=25,format=${pixelFormatOf(video)},trim=end_frame=${triedFrames}[out]`
  using pipe = new FilterPipe('video', filters, {})
  let packets = 0
  for (let n = 0, frame = pipe.pull(); frame; n++, frame = pipe.pull()) packets += [...encoding.encode(frame, n)].length
  return packets + [...encoding.finish()].length === triedFrames
}

const presets: Readonly<Record<string, string>> = {
  libx264: 'ultrafast',
  libx265: 'ultrafast',
  libsvtav1: '12',
  'libvpx-vp9': '8',
  nvenc: 'p1',
  qsv: 'veryfast',
}

function sampleEncoder(name: string): VideoEncoder {
  return {
    codec: codecOf(name),
    encoder: name,
    rate: { mode: 'crf', crf: 30 },
    preset: presets[name] ?? presets[name.slice(name.lastIndexOf('_') + 1)] ?? 'medium',
    bitDepth: 8,
    gopFrames: 25,
    threads: 1,
    color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
  }
}

function codecOf(name: string): VideoCodec {
  if (/x265|hevc/.test(name)) return 'h265'
  if (name.includes('av1')) return 'av1'
  return name.includes('vp9') ? 'vp9' : 'h264'
}
