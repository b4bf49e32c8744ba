/**
 * Small source files for jobs, made by libav. Each function writes one file into a directory and returns its path.
 *
 * Pictures move in every frame and carry the number of their frame in their top-left corner: `frameNumberBits` blocks of `frameNumberBlock` pixels, the lowest bit
 * first, white for 1. Sound beeps for 80 ms at each full second.
 */
import { open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFile, type TrackRecipe } from './peers/make-file.ts'

export const frameNumberBits = 10
export const frameNumberBlock = 16

export type JobFileOptions = {
  /** Without the extension. */
  readonly name?: string
  readonly width?: number
  readonly height?: number
  /** As FFmpeg has it: `25`, `30000/1001`. */
  readonly fps?: string
  readonly seconds?: number
  readonly gopFrames?: number
  /** Of H.264. */
  readonly bFrames?: number
}

type Shape = Required<Omit<JobFileOptions, 'name'>>

const defaults: Shape = { width: 320, height: 180, fps: '25', seconds: 4, gopFrames: 25, bFrames: 2 }

/** H.264 with B-frames and AAC stereo in MP4. */
export async function makeMp4(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  return await make(directory, options.name ?? 'plain', 'mp4', [h264(shape), aac(shape)])
}

/** H.264 alone. */
export async function makeSilentMp4(directory: string, options: JobFileOptions = {}): Promise<string> {
  return await make(directory, options.name ?? 'silent', 'mp4', [h264({ ...defaults, ...options })])
}

/** One keyframe, at the start, and as many B-frames as x264 likes. */
export async function makeLongGop(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options, gopFrames: 10_000 }
  const params = 'scenecut=0:b-adapt=1:bframes=8:b-pyramid=normal'
  return await make(directory, options.name ?? 'long-gop', 'mp4', [h264(shape, { 'x264-params': params, preset: 'veryfast' })])
}

/** Frames are missing here and there, and the rate changes in the middle: 50 a second first, then 20. */
export async function makeVariableRate(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options, fps: '100' }
  const half = shape.seconds / 2
  const chosen = `select=if(lt(t\\,${half})\\,not(mod(n\\,2))*gt(mod(n+8\\,14)\\,0)\\,not(mod(n\\,5)))`
  return await make(directory, options.name ?? 'variable', 'mp4', [h264(shape, {}, chosen), aac(shape)])
}

/** Interlaced, the top field first: each field is of another moment. */
export async function makeInterlaced(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, fps: '50', ...options }
  const fields = 'tinterlace=mode=interleave_top,fieldorder=tff'
  return await make(directory, options.name ?? 'interlaced', 'mp4', [
    h264(shape, { flags: '+global_header+ildct+ilme', 'x264-params': 'tff=1' }, fields),
    aac(shape),
  ])
}

export const hdr10 = {
  masteringDisplay: 'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)',
  contentLight: '1000,400',
} as const

/** H.265 with 10 bits, BT.2020 and PQ, with mastering display and content light. */
export async function makeHdr10(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  const color = 'colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited'
  const metadata = `hdr10=1:repeat-headers=1:master-display=${hdr10.masteringDisplay}:max-cll=${hdr10.contentLight}`
  const tagged = 'format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv'
  return await make(directory, options.name ?? 'hdr10', 'mp4', [
    {
      kind: 'video',
      filters: `${pictures(shape)},${tagged}`,
      encoder: 'libx265',
      encoderOptions: {
        preset: 'ultrafast',
        g: String(shape.gopFrames),
        color_primaries: 'bt2020',
        color_trc: 'smpte2084',
        colorspace: 'bt2020nc',
        color_range: 'tv',
        'x265-params': `log-level=none:pools=1:frame-threads=1:${color}:${metadata}`,
      },
    },
    aac(shape),
  ])
}

/** H.265 in MP4, 8 bits. */
export async function makeH265(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  const encoderOptions = {
    preset: 'ultrafast',
    g: String(shape.gopFrames),
    'x265-params': 'log-level=none:pools=1:frame-threads=1',
  }
  const video = { kind: 'video', filters: `${pictures(shape)},format=yuv420p`, encoder: 'libx265', encoderOptions } as const
  return await make(directory, options.name ?? 'h265', 'mp4', [video, aac(shape)])
}

/** VP9 and Opus in WebM. */
export async function makeWebm(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  return await make(directory, options.name ?? 'plain', 'webm', [
    {
      kind: 'video',
      filters: `${pictures(shape)},format=yuv420p`,
      encoder: 'libvpx-vp9',
      encoderOptions: { deadline: 'realtime', 'cpu-used': '8', b: '400000', g: String(shape.gopFrames) },
    },
    {
      kind: 'audio',
      filters: `${beeps(shape, 1)},asetnsamples=n=960:p=0,aformat=sample_fmts=flt`,
      encoder: 'libopus',
      encoderOptions: { b: '48000' },
    },
  ])
}

/** MPEG-TS, whose times begin at 1.4 s. */
export async function makeTransportStream(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  return await make(directory, options.name ?? 'plain', 'ts', [h264(shape), aac(shape)], { output_ts_offset: '1.4' })
}

/** 4:4:4 with odd width and height, which no 4:2:0 encoder takes as it is. */
export async function makeOddSize(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, width: 321, height: 179, ...options }
  return await make(directory, options.name ?? 'odd-size', 'mp4', [
    { ...h264(shape), filters: `${pictures(shape)},format=yuv444p` },
  ])
}

/** Held upright: 320×180 as stored, to be turned by 90° clockwise. */
export async function makeRotated(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  return await make(directory, options.name ?? 'rotated', 'mp4', [{ ...h264(shape), rotationDegrees: 90 }, aac(shape)])
}

/** Pixels 64:45, as of a PAL DVD. */
export async function makeAnamorphic(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, width: 360, height: 288, ...options }
  return await make(directory, options.name ?? 'anamorphic', 'mp4', [h264(shape, {}, 'setsar=64/45'), aac(shape)])
}

/** 5.1 in English, stereo in German. */
export async function makeSurround(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  return await make(directory, options.name ?? 'surround', 'mp4', [
    h264(shape),
    { ...aac(shape, 6), metadata: { language: 'eng', handler_name: 'Surround' } },
    { ...aac(shape, 2), metadata: { language: 'deu', handler_name: 'Stereo' } },
  ])
}

/** The sound begins one second after the picture and ends one second before it. */
export async function makeShortAudio(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  const sound = aac({ ...shape, seconds: shape.seconds - 2 })
  return await make(directory, options.name ?? 'short-audio', 'mp4', [
    h264(shape),
    { ...sound, filters: `${sound.filters},asetpts=PTS+1/TB` },
  ])
}

/** AAC alone. */
export async function makeAudioOnly(directory: string, options: JobFileOptions = {}): Promise<string> {
  return await make(directory, options.name ?? 'sound', 'm4a', [aac({ ...defaults, ...options })])
}

/** A PNG with an alpha channel: a white disc in a clear square. */
export async function makeWatermark(directory: string, { name = 'watermark', size = 64 } = {}): Promise<string> {
  const alpha = 'geq=r=255:g=255:b=255:a=255*lt(hypot(X-W/2\\,Y-H/2)\\,W/2)'
  const filters = `color=white:size=${size}x${size}:rate=1:duration=1,format=rgba,${alpha},format=rgba`
  return await make(directory, name, 'png', [{ kind: 'video', filters, encoder: 'png' }])
}

/** An MP4 whose second half is missing; its index is at the start, so that it can be opened. */
export async function makeTruncated(directory: string, options: JobFileOptions = {}): Promise<string> {
  const shape = { ...defaults, ...options }
  const path = await make(directory, options.name ?? 'truncated', 'mp4', [h264(shape), aac(shape)], { movflags: '+faststart' })
  const { size } = await stat(path)
  await using file = await open(path, 'r+')
  await file.truncate(Math.floor(size / 2))
  return path
}

/** No media: a playlist that points elsewhere, which must not be followed. */
export async function makePlaylist(directory: string, target: string): Promise<string> {
  const path = join(directory, 'playlist.mp4')
  await writeFile(path, `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${target}\n#EXT-X-ENDLIST\n`)
  return path
}

const formats: Readonly<Record<string, string>> = { mp4: 'mp4', m4a: 'mp4', webm: 'webm', ts: 'mpegts', png: 'image2' }

async function make(
  directory: string,
  name: string,
  extension: string,
  tracks: readonly TrackRecipe[],
  muxerOptions: Readonly<Record<string, string>> = {},
): Promise<string> {
  const still = extension === 'png' ? { update: '1' } : {}
  const path = join(directory, `${name}.${extension}`)
  return await makeFile({
    path,
    format: formats[extension] ?? extension,
    tracks,
    muxerOptions: { ...still, ...muxerOptions },
  })
}

function h264(shape: Shape, more: Readonly<Record<string, string>> = {}, filter = 'null'): TrackRecipe {
  return {
    kind: 'video',
    filters: `${pictures(shape)},${filter},format=yuv420p`,
    encoder: 'libx264',
    encoderOptions: { preset: 'ultrafast', bf: String(shape.bFrames), g: String(shape.gopFrames), ...more },
  }
}

function aac({ seconds }: { seconds: number }, channels = 2): TrackRecipe {
  return {
    kind: 'audio',
    filters: `${beeps({ seconds }, channels)},aformat=sample_fmts=fltp`,
    encoder: 'aac',
    encoderOptions: { b: String(48_000 * channels) },
  }
}

function pictures({ width, height, fps, seconds }: Shape): string {
  const bits = Array.from({ length: frameNumberBits }, (_, bit) => {
    const at = `x=${bit * frameNumberBlock}:y=0:w=${frameNumberBlock}:h=${frameNumberBlock}`
    return `drawbox=${at}:color=white:t=fill:enable=mod(floor(n/${2 ** bit})\\,2)`
  })
  const background = `drawbox=x=0:y=0:w=${frameNumberBits * frameNumberBlock}:h=${frameNumberBlock}:color=black:t=fill`
  return [`testsrc2=size=${width}x${height}:rate=${fps}:duration=${seconds}`, background, ...bits].join(',')
}

function beeps({ seconds }: { seconds: number }, channels: number): string {
  const layout = { 1: 'mono', 2: 'stereo', 6: '5.1' }[channels] ?? 'stereo'
  const beep = '0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.08)'
  const exprs = Array.from({ length: channels }, () => beep).join('|')
  return `aevalsrc=exprs=${exprs}:channel_layout=${layout}:sample_rate=48000:duration=${seconds}`
}
