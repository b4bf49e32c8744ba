/**
 * What a transcode is made of, as plain data: it crosses the pipe to the codec process, the wire to a worker, and the database. Frames are counted on the
 * output timeline: frame 0 is the first of the clip, frame n is shown at n / frameRate.
 */
import { Type, type Static } from 'typebox'

const closed = { additionalProperties: false } as const
const count = Type.Integer({ minimum: 0 })
const pixels = Type.Integer({ minimum: 1, maximum: 16_384 })

/** 30000/1001 is 29.97. */
export const rationalSchema = Type.Object({ num: Type.Integer({ minimum: 1 }), den: Type.Integer({ minimum: 1 }) }, closed)
export type Rational = Static<typeof rationalSchema>

// What a source has

export const hdrSchema = Type.Object(
  {
    kind: Type.Enum(['hdr10', 'hlg', 'pq']),
    /** As x265 takes it: `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`, in units of 0.00002 and 0.0001 cd/m². */
    masteringDisplay: Type.Optional(Type.String()),
    /** `maxCLL,maxFALL` in cd/m². */
    contentLight: Type.Optional(Type.String()),
  },
  closed,
)
export type Hdr = Static<typeof hdrSchema>

export const colorSchema = Type.Object(
  { primaries: Type.String(), transfer: Type.String(), matrix: Type.String(), range: Type.Enum(['tv', 'pc', 'unknown']) },
  { ...closed, description: 'Names as FFmpeg has them; "unknown" where the source does not say.' },
)

export const sourceVideoSchema = Type.Object(
  {
    codec: Type.String(),
    width: pixels,
    height: pixels,
    pixelFormat: Type.String(),
    bitDepth: Type.Integer({ minimum: 8, maximum: 16 }),
    /** Shape of a pixel; 1/1 is square. */
    pixelAspect: rationalSchema,
    frameRate: rationalSchema,
    isVariableRate: Type.Boolean(),
    frameCount: count,
    /** Clockwise, to be shown upright. */
    rotationDegrees: Type.Enum([0, 90, 180, 270]),
    fieldOrder: Type.Enum(['progressive', 'top-first', 'bottom-first']),
    color: colorSchema,
    hdr: Type.Optional(hdrSchema),
    keyframeCount: count,
    longestGopMs: Type.Number({ minimum: 0 }),
    /** When the first frame is shown, on the source's clock. */
    startMs: Type.Number(),
  },
  closed,
)

export const sourceAudioSchema = Type.Object(
  {
    /** Among the audio tracks, from 0. */
    track: count,
    codec: Type.String(),
    channels: Type.Integer({ minimum: 1 }),
    sampleRate: Type.Integer({ minimum: 1 }),
    language: Type.Optional(Type.String()),
    title: Type.Optional(Type.String()),
    startMs: Type.Number(),
    durationMs: Type.Number({ minimum: 0 }),
  },
  closed,
)

/** Everything was read to know this: counts and durations are of packets, not of what a header says. */
export const sourceProbeSchema = Type.Object(
  {
    format: Type.String({ description: 'Name of the container, as FFmpeg has it.' }),
    durationMs: Type.Number({ minimum: 0 }),
    sizeBytes: Type.Optional(count),
    video: Type.Optional(sourceVideoSchema),
    audio: Type.Array(sourceAudioSchema),
    /** Why a decoder cannot start in the middle and be exact; absent where it can. */
    notSeekable: Type.Optional(Type.String()),
  },
  closed,
)
export type SourceProbe = Static<typeof sourceProbeSchema>
export type SourceVideo = Static<typeof sourceVideoSchema>
export type SourceAudio = Static<typeof sourceAudioSchema>

// Pictures on their way

export const videoCodecs = ['h264', 'h265', 'av1', 'vp9'] as const
export type VideoCodec = (typeof videoCodecs)[number]
export const audioCodecs = ['aac', 'opus'] as const
export type AudioCodec = (typeof audioCodecs)[number]

export const cropSchema = Type.Object({ x: count, y: count, width: pixels, height: pixels }, closed)

/** In this order: deinterlace, rotate upright, crop, scale, watermark. Absent: as it comes. */
export const pictureSchema = Type.Object(
  {
    /** With bwdif; one frame for each frame. */
    deinterlace: Type.Boolean(),
    rotationDegrees: Type.Enum([0, 90, 180, 270]),
    crop: Type.Optional(cropSchema),
    width: pixels,
    height: pixels,
    watermark: Type.Optional(
      Type.Object(
        {
          corner: Type.Enum(['top-left', 'top-right', 'bottom-left', 'bottom-right']),
          /** Part of the picture's width that it takes, and its distance from the edges. */
          widthPercent: Type.Number({ exclusiveMinimum: 0, maximum: 100 }),
          marginPercent: Type.Number({ minimum: 0, maximum: 50 }),
          opacity: Type.Number({ minimum: 0, maximum: 1 }),
        },
        closed,
      ),
    ),
  },
  closed,
)
export type Picture = Static<typeof pictureSchema>

const bitsPerSecond = Type.Integer({ minimum: 1000, maximum: 400_000_000 })
const crf = Type.Number({ minimum: 0, maximum: 63 })

/** `crf`: constant quality, the only mode in which chunks are identical to one pass. `capped`: the same below a ceiling. `average`: a target. */
export const rateSchema = Type.Union([
  Type.Object({ mode: Type.Literal('crf'), crf }, closed),
  Type.Object({ mode: Type.Literal('capped'), crf, maxBitsPerSecond: bitsPerSecond, bufferMs: count }, closed),
  Type.Object({ mode: Type.Literal('average'), bitsPerSecond, maxBitsPerSecond: bitsPerSecond, bufferMs: count }, closed),
])
export type Rate = Static<typeof rateSchema>

export const videoEncoderSchema = Type.Object(
  {
    codec: Type.Enum([...videoCodecs]),
    /** Name in FFmpeg: `libx264`, `hevc_nvenc`, … */
    encoder: Type.String({ pattern: '^[a-z0-9_-]{1,40}$' }),
    rate: rateSchema,
    /** The encoder's own word: `veryfast`, `8`, … */
    preset: Type.String({ pattern: '^[a-z0-9-]{1,20}$' }),
    bitDepth: Type.Enum([8, 10]),
    gopFrames: Type.Integer({ minimum: 1, maximum: 1000 }),
    /** Of the encoder; never left to the machine, for it changes the result. */
    threads: Type.Integer({ minimum: 1, maximum: 64 }),
    /** HDR metadata of the source that is kept; absent: the picture is SDR. */
    hdr: Type.Optional(hdrSchema),
    color: colorSchema,
  },
  closed,
)
export type VideoEncoder = Static<typeof videoEncoderSchema>

/** Where frame 0 lies in the source, how long the clip is, and its rate. */
export const timelineSchema = Type.Object(
  { startMs: Type.Number(), frameRate: rationalSchema, frameCount: Type.Integer({ minimum: 1 }) },
  closed,
)
export type Timeline = Static<typeof timelineSchema>

/** Frames `startFrame` (included) to `endFrame` (not included). */
export const frameRangeSchema = Type.Object({ startFrame: count, endFrame: Type.Integer({ minimum: 1 }) }, closed)
export type FrameRange = Static<typeof frameRangeSchema>

// Orders to a codec process, and what it answers

/**
 * Frames around a chunk that are encoded too and thrown away, fewer at the ends of the clip. They give the encoder the state that it would have in one pass.
 * `stillFrames`, which come first, all show the picture behind them.
 */
export const rollsSchema = Type.Object({ stillFrames: count, preRollFrames: count, postRollFrames: count }, closed)
export type Rolls = Static<typeof rollsSchema>
export const noRolls: Rolls = { stillFrames: 0, preRollFrames: 0, postRollFrames: 0 }

/** One chunk of one rendition. The file is written to `outputPath`. */
export type VideoOrder = {
  readonly sourceUrl: string
  readonly watermarkUrl?: string
  readonly timeline: Timeline
  readonly range: FrameRange
  readonly rolls: Rolls
  readonly picture: Picture
  readonly video: VideoEncoder
  readonly outputPath: string
}

export const chunkFactsSchema = Type.Object(
  {
    frameCount: count,
    keyframeCount: count,
    sizeBytes: count,
    /** Of the encoded frames, in coding order: equal digests are equal chunks. */
    sha256: Type.String(),
    /** Largest number of bytes within one second of the timeline. */
    peakSecondBytes: count,
  },
  closed,
)
export type ChunkFacts = Static<typeof chunkFactsSchema>

export const audioEncoderSchema = Type.Object(
  {
    codec: Type.Enum([...audioCodecs]),
    bitsPerSecond,
    channels: Type.Enum([1, 2, 6]),
    sampleRate: Type.Enum([44_100, 48_000]),
    /** To EBU R 128, −23 LUFS, in two passes; false: as loud as it comes. */
    normalize: Type.Boolean(),
  },
  closed,
)
export type AudioEncoder = Static<typeof audioEncoderSchema>

/** One audio track of the clip, whole: from `startMs` for `durationMs` of the source, silence where it has none. */
export type AudioOrder = {
  readonly sourceUrl: string
  readonly track: number
  readonly startMs: number
  readonly durationMs: number
  readonly audio: AudioEncoder
  readonly outputPath: string
}

export const audioFactsSchema = Type.Object({ durationMs: Type.Number(), sizeBytes: count, sha256: Type.String() }, closed)
export type AudioFacts = Static<typeof audioFactsSchema>

/** Still pictures: a poster, and tiles for scrubbing. Written into `outputDirectory`. */
export type PicturesOrder = {
  readonly sourceUrl: string
  readonly timeline: Timeline
  readonly picture: Picture
  readonly posterAtMs: number
  readonly tiles:
    | { readonly everyMs: number; readonly width: number; readonly columns: number; readonly rows: number }
    | undefined
  readonly outputDirectory: string
}

export const packageTrackSchema = Type.Union([
  Type.Object({ kind: Type.Literal('video'), name: Type.String(), codec: Type.Enum([...videoCodecs]), gopFrames: count }, closed),
  Type.Object(
    {
      kind: Type.Literal('audio'),
      name: Type.String(),
      codec: Type.Enum([...audioCodecs]),
      language: Type.Optional(Type.String()),
      title: Type.Optional(Type.String()),
      isDefault: Type.Boolean(),
    },
    closed,
  ),
])
export type PackageTrack = Static<typeof packageTrackSchema>

/**
 * Chunks become files for players, in `outputDirectory`. `cmaf`: one fragmented MP4 for each track, `master.m3u8`, a playlist for each track with byte ranges,
 * I-frame playlists, `manifest.mpd`. `mp4`: one progressive `video.mp4`. Inputs are in the order of the timeline.
 */
export type PackageOrder = {
  readonly format: 'cmaf' | 'mp4'
  readonly timeline: Timeline
  readonly segmentMs: number
  readonly tracks: readonly (PackageTrack & {
    readonly inputs: readonly { readonly url: string; readonly sha256: string; readonly frameCount: number }[]
  })[]
  /** Compare so many seconds of the first rendition with the source by VMAF; absent: not. */
  readonly vmaf?: { readonly sourceUrl: string; readonly seconds: number; readonly picture: Picture }
  readonly outputDirectory: string
}

export const packagedTrackSchema = Type.Object(
  {
    name: Type.String(),
    kind: Type.Enum(['video', 'audio']),
    /** RFC 6381: `avc1.64001f`. */
    codecs: Type.String(),
    width: Type.Optional(pixels),
    height: Type.Optional(pixels),
    frameCount: count,
    durationMs: Type.Number(),
    sizeBytes: count,
    averageBitsPerSecond: count,
    peakBitsPerSecond: count,
  },
  closed,
)

/** What was verified on the finished files; it throws `ENCODE_DAMAGED` rather than publish what does not hold. */
export const packageFactsSchema = Type.Object(
  {
    entry: Type.String({ description: 'What a player opens: `master.m3u8` or `video.mp4`.' }),
    durationMs: Type.Number(),
    tracks: Type.Array(packagedTrackSchema),
    files: Type.Array(Type.Object({ name: Type.String(), sizeBytes: count, contentType: Type.String() }, closed)),
    vmaf: Type.Optional(Type.Number()),
  },
  closed,
)
export type PackageFacts = Static<typeof packageFactsSchema>

const evenPixels = Type.Integer({ minimum: 2, maximum: 8192, multipleOf: 2 })

export const livePictureSchema = Type.Object(
  {
    width: evenPixels,
    height: evenPixels,
    /** Interlaced pictures become whole ones, one for each; those that are whole pass. */
    deinterlace: Type.Boolean(),
    /** A source that has more gives every second, third, … picture. Absent: its own rate. */
    maxFrameRate: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  closed,
)
export type LivePicture = Static<typeof livePictureSchema>

/** A stream in, a rendition out, until it is told to stop. */
export type LiveOrder = {
  readonly sourceUrl: string
  /** RTSP address that the rendition is published to. */
  readonly targetUrl: string
  readonly picture: LivePicture
  readonly video: VideoEncoder
  readonly audio: AudioEncoder | undefined
}

/** Where a codec process is. Frames are of the output; they only grow within one order. */
export const transcodeProgressSchema = Type.Object(
  {
    frames: count,
    totalFrames: count,
    /** Seconds of the timeline for each second of the clock. */
    speed: Type.Number({ minimum: 0 }),
  },
  closed,
)
export type TranscodeProgress = Static<typeof transcodeProgressSchema>

// What a machine can do

/** Found by trying: an encoder that is listed but has no device is not here. */
export const encoderListSchema = Type.Object(
  {
    /** Names in FFmpeg. */
    encoders: Type.Array(Type.String()),
    filters: Type.Array(Type.String(), { description: 'Of those that Millrace uses and that not every build has: `libvmaf`.' }),
  },
  closed,
)
export type EncoderList = Static<typeof encoderListSchema>
