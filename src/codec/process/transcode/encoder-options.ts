import type { Hdr, VideoEncoder } from '#codec/transcoding.ts'

/** Options of an encoder under FFmpeg's names. */
export type EncoderOptions = Readonly<Record<string, string>>

/**
 * Options by which an encoder makes the same of a picture, whether it began one GOP or an hour before: closed GOPs of one length, no cuts at scenes, and a
 * number of threads that is not the machine's. Encoders that are no table entry get what all have.
 */
export function encoderOptions(video: VideoEncoder, machine: Machine): EncoderOptions {
  const options = byEncoder[video.encoder] ?? byFamily[video.encoder.slice(video.encoder.lastIndexOf('_') + 1)]
  return { ...shared(video), ...options?.(video, machine) }
}

/** What must not change the pictures, and would. */
export type Machine = { readonly hasAvx512: boolean }

/** Names of the pixel formats, for 8 and 10 bits. */
export function pixelFormatOf({ encoder, bitDepth }: VideoEncoder): string {
  const isSemiPlanar = /_(qsv|vaapi)$/.test(encoder)
  if (bitDepth === 8) return isSemiPlanar ? 'nv12' : 'yuv420p'
  return isSemiPlanar || encoder.endsWith('_nvenc') ? 'p010le' : 'yuv420p10le'
}

const byEncoder: Readonly<Record<string, (video: VideoEncoder, machine: Machine) => EncoderOptions>> = {
  libx264: (video, { hasAvx512 }) => ({
    preset: video.preset,
    ...quality(video),
    sc_threshold: '0',
    'forced-idr': '1',
    'x264-params': params({
      'open-gop': 0,
      scenecut: 0,
      threads: video.threads,
      'lookahead-threads': Math.max(1, Math.floor(video.threads / 6)),
      'sliced-threads': 0,
      // With AVX-512 it makes other pictures each time, at widths such as 192 and 416: seen with build 165, not with AVX2.
      ...(hasAvx512 ? { asm: 'AVX2' } : {}),
    }),
  }),
  libx265: (video) => ({
    preset: video.preset,
    ...quality(video),
    'forced-idr': '1',
    'x265-params': params({
      'log-level': 'none',
      keyint: video.gopFrames,
      'min-keyint': video.gopFrames,
      'open-gop': 0,
      'b-pyramid': 1,
      scenecut: 0,
      pools: video.threads,
      'frame-threads': video.threads >= 4 ? 2 : 1,
      info: 0,
      'repeat-headers': 0,
      ...hdrOfX265(video.hdr),
    }),
  }),
  libsvtav1: (video) => ({
    preset: video.preset,
    ...quality(video),
    'svtav1-params': params({ lp: Math.min(6, video.threads), scd: 0, ...hdrOfSvt(video.hdr) }),
  }),
  'libvpx-vp9': (video) => ({
    deadline: 'good',
    'cpu-used': video.preset,
    ...(video.rate.mode === 'crf' ? { b: '0', crf: String(video.rate.crf) } : quality(video)),
    ...(video.rate.mode === 'capped' ? { b: String(video.rate.maxBitsPerSecond) } : {}),
    'row-mt': '1',
    'auto-alt-ref': '1',
    'lag-in-frames': '25',
  }),
}

const byFamily: Readonly<Record<string, (video: VideoEncoder) => EncoderOptions>> = {
  nvenc: (video) => ({
    preset: video.preset,
    ...(video.rate.mode === 'crf' ? { rc: 'constqp', qp: quantizer(video) } : { rc: 'vbr', ...targetRate(video), ...cq(video) }),
    'no-scenecut': '1',
    'forced-idr': '1',
    strict_gop: '1',
  }),
  qsv: (video) => ({
    preset: video.preset,
    ...(video.rate.mode === 'average' ? targetRate(video) : { global_quality: quantizer(video) }),
    ...ceiling(video),
    forced_idr: '1',
    idr_interval: '0',
    adaptive_i: '0',
    adaptive_b: '0',
  }),
  vaapi: (video) => ({
    ...(video.rate.mode === 'crf'
      ? { rc_mode: 'CQP', global_quality: quantizer(video) }
      : { rc_mode: 'VBR', ...targetRate(video) }),
    idr_interval: '0',
  }),
}

function shared({ gopFrames }: VideoEncoder): EncoderOptions {
  return { g: String(gopFrames), keyint_min: String(gopFrames), flags: '+global_header+cgop' }
}

/** For encoders with a constant quality of their own. */
function quality(video: VideoEncoder): EncoderOptions {
  return video.rate.mode === 'average' ? targetRate(video) : { crf: String(video.rate.crf), ...ceiling(video) }
}

function targetRate({ rate }: VideoEncoder): EncoderOptions {
  if (rate.mode === 'crf') return {}
  const target = rate.mode === 'average' ? rate.bitsPerSecond : rate.maxBitsPerSecond
  return { b: String(target), maxrate: String(rate.maxBitsPerSecond), bufsize: bufferBits(rate) }
}

function ceiling({ rate }: VideoEncoder): EncoderOptions {
  return rate.mode === 'capped' ? { maxrate: String(rate.maxBitsPerSecond), bufsize: bufferBits(rate) } : {}
}

function cq({ rate }: VideoEncoder): EncoderOptions {
  return rate.mode === 'capped' ? { cq: String(rate.crf) } : {}
}

function bufferBits({ maxBitsPerSecond, bufferMs }: { maxBitsPerSecond: number; bufferMs: number }): string {
  return String(Math.round((maxBitsPerSecond * bufferMs) / 1000))
}

function quantizer({ rate }: VideoEncoder): string {
  return rate.mode === 'average' ? '' : String(Math.round(rate.crf))
}

function hdrOfX265(hdr: Hdr | undefined): Readonly<Record<string, string | number>> {
  if (!hdr) return {}
  return {
    ...(hdr.kind === 'hdr10' ? { hdr10: 1, 'hdr10-opt': 1 } : {}),
    ...(hdr.masteringDisplay ? { 'master-display': hdr.masteringDisplay } : {}),
    ...(hdr.contentLight ? { 'max-cll': hdr.contentLight } : {}),
  }
}

/** SVT-AV1 takes x and y as parts of one and light in cd/m². */
function hdrOfSvt(hdr: Hdr | undefined): Readonly<Record<string, string>> {
  if (!hdr) return {}
  const display = hdr.masteringDisplay?.replace(/([A-Z]+)\((\d+),(\d+)\)/g, (_, name: string, first: string, second: string) => {
    const unit = name === 'L' ? 10_000 : 50_000
    return `${name}(${Number(first) / unit},${Number(second) / unit})`
  })
  return {
    ...(display ? { 'mastering-display': display } : {}),
    ...(hdr.contentLight ? { 'content-light': hdr.contentLight } : {}),
  }
}

function params(options: Readonly<Record<string, string | number>>): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(':')
}
