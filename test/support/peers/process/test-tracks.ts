import {
  FF_ENCODER_AAC,
  FF_ENCODER_LIBOPUS,
  FF_ENCODER_LIBX264,
  FF_ENCODER_LIBX265,
  FF_ENCODER_PCM_ALAW,
  FF_ENCODER_PCM_MULAW,
} from 'node-av/constants'
import type { TrackPlan } from '#codec/process/encoded-track.ts'
import type { TestAudio, TestSize, TestStreamOptions, TestVideo } from '../publish-test-stream.ts'

const defaultSize: TestSize = { width: 320, height: 180 }
const flashFrames = 2
const beepSeconds = 0.08

/** The video of a test stream, one plan for each size that it takes in turn. */
export function videoPlans(options: TestStreamOptions): TrackPlan[] {
  const { video, seconds = Infinity, size = defaultSize, fps = 25, resize } = options
  if (!video) return []
  const planOf = ({ width, height }: TestSize, firstFrame: number, endFrame: number): TrackPlan => ({
    kind: 'video',
    // `n` counts from the start of this graph; a resize comes at a full second.
    filters: `testsrc2=size=${width}x${height}:rate=${fps},drawbox=color=white:t=fill:enable=lt(mod(n\\,${fps})\\,${flashFrames})`,
    ...videoEncoder(video, options, fps),
    firstTicks: firstFrame,
    ...(endFrame === Infinity ? {} : { frameCount: endFrame - firstFrame }),
  })
  const endFrame = Math.round(seconds * fps)
  if (!resize) return [planOf(size, 0, endFrame)]
  const resizeFrame = resize.atSecond * fps
  return [planOf(size, 0, resizeFrame), planOf(resize, resizeFrame, endFrame)]
}

/** The audio of a test stream. */
export function audioPlan({ audio, seconds }: TestStreamOptions): TrackPlan | undefined {
  if (!audio) return undefined
  const { encoder, sampleRateHz, frameSamples, encoderOptions } = audioEncoders[audio]
  return {
    kind: 'audio',
    filters: `aevalsrc=exprs=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,${beepSeconds}):sample_rate=${sampleRateHz},asetnsamples=n=${frameSamples}:p=0`,
    encoder,
    encoderOptions,
    ...(seconds === undefined ? {} : { frameCount: Math.round((seconds * sampleRateHz) / frameSamples) }),
  }
}

const audioEncoders = {
  aac: {
    encoder: FF_ENCODER_AAC,
    sampleRateHz: 48_000,
    frameSamples: 1024,
    encoderOptions: { b: '64000', flags: '+global_header' },
  },
  opus: { encoder: FF_ENCODER_LIBOPUS, sampleRateHz: 48_000, frameSamples: 960, encoderOptions: { b: '48000' } },
  pcma: { encoder: FF_ENCODER_PCM_ALAW, sampleRateHz: 8000, frameSamples: 160, encoderOptions: {} },
  pcmu: { encoder: FF_ENCODER_PCM_MULAW, sampleRateHz: 8000, frameSamples: 160, encoderOptions: {} },
} satisfies Record<TestAudio, object>

function videoEncoder(
  video: TestVideo,
  { gopFrames, parameterSets = 'sdp' }: TestStreamOptions,
  fps: number,
): Pick<TrackPlan, 'encoder' | 'encoderOptions'> {
  const gop = gopFrames ?? fps
  const flags = parameterSets === 'in-band' ? {} : { flags: '+global_header' }
  const repeat = `repeat-headers=${parameterSets === 'sdp' ? 0 : 1}`
  const shared = { preset: 'ultrafast', g: String(gop), ...flags }
  switch (video) {
    case 'h264':
      return { encoder: FF_ENCODER_LIBX264, encoderOptions: { ...shared, tune: 'zerolatency', bf: '0', 'x264-params': repeat } }
    case 'h264-bframes':
      return {
        encoder: FF_ENCODER_LIBX264,
        encoderOptions: { ...shared, bf: '2', 'x264-params': `${repeat}:b-adapt=0:scenecut=0` },
      }
    case 'h265': {
      const params = `log-level=none:pools=none:frame-threads=1:bframes=0:scenecut=0:keyint=${gop}:min-keyint=${gop}:${repeat}`
      return { encoder: FF_ENCODER_LIBX265, encoderOptions: { ...shared, tune: 'zerolatency', 'x265-params': params } }
    }
    default:
      return video satisfies never
  }
}
