import { FF_ENCODER_AAC, FF_ENCODER_LIBOPUS, FF_ENCODER_LIBX264 } from 'node-av/constants'
import type { DemoCamera, DemoPicture } from '#codec/demo-camera.ts'
import type { Clock } from '#lib/clock.ts'
import { paintText } from './bitmap-text.ts'
import type { TrackPlan } from './encoded-track.ts'

type PicturePlan = { filters: string; fps: number; restartAfterFrames?: number; melody: readonly number[] }

/**
 * What each camera looks at. Making and encoding one frame takes 1.0, 2.3, 1.5 and 1.3 ms of a 2.5 GHz core; all four
 * cameras with their sound and their RTSP sessions take a fifth of it.
 */
const pictures: Record<DemoPicture, PicturePlan> = {
  card: {
    filters: 'testsrc2=size=640x360:rate=25',
    fps: 25,
    melody: [440, 554.4, 659.3, 880],
  },
  ocean: {
    filters:
      'perlin=size=192x108:rate=15:octaves=3:tscale=0.4:xscale=1.5:yscale=6,format=yuv420p,lutyuv=y=val*0.7+16:u=165:v=95,scale=640x360',
    fps: 15,
    melody: [220, 246.9, 293.7, 329.6, 293.7, 246.9],
  },
  aurora: {
    filters:
      'gradients=size=160x90:rate=20:speed=0.01:type=spiral:n=4:c0=0x0b3d2e:c1=0x1a936f:c2=0x114b5f:c3=0x88d498,scale=640x360',
    fps: 20,
    melody: [329.6, 392, 493.9, 392],
  },
  // Life dies out after some thousand generations.
  colony: {
    filters:
      'life=size=160x90:rate=15:mold=10:ratio=0.15:life_color=#f4d35e:death_color=#ee964b:mold_color=#0d3b66,scale=640x360:flags=neighbor',
    fps: 15,
    restartAfterFrames: 2000,
    melody: [261.6, 311.1, 392, 466.2],
  },
}

const audioEncoders = {
  aac: { encoder: FF_ENCODER_AAC, frameSamples: 1024, encoderOptions: { b: '64000', flags: '+global_header' } },
  opus: { encoder: FF_ENCODER_LIBOPUS, frameSamples: 960, encoderOptions: { b: '48000' } },
} as const

/** The tracks of one demo camera: its picture with name and time of day written into it, and its melody when it has one. */
export function demoTracks(camera: DemoCamera, clock: Clock): TrackPlan[] {
  const { filters, fps, restartAfterFrames, melody } = pictures[camera.picture]
  const label = camera.name.slice(camera.name.lastIndexOf('/') + 1).toUpperCase()
  const video: TrackPlan = {
    kind: 'video',
    filters,
    ...(restartAfterFrames === undefined ? {} : { restartAfterFrames }),
    encoder: FF_ENCODER_LIBX264,
    encoderOptions: {
      preset: 'ultrafast',
      tune: 'zerolatency',
      profile: 'baseline',
      crf: '27',
      maxrate: '1500000',
      bufsize: '1500000',
      g: String(fps),
      flags: '+global_header',
    },
    paint: (frame) => paintText(frame, `${label} ${timeOfDay(clock)}`, { x: 16, y: 308, scale: 4 }),
  }
  if (!camera.audio) return [video]
  const { encoder, frameSamples, encoderOptions } = audioEncoders[camera.audio]
  return [video, { kind: 'audio', filters: melodyFilters(melody, frameSamples), encoder, encoderOptions }]
}

/** Two quiet notes a second, each dying away, over and over. */
function melodyFilters(melody: readonly number[], frameSamples: number): string {
  const note = melody.reduceRight<string>(
    (rest, hertz, index) => `if(lt(mod(floor(2*t)\\,${melody.length})\\,${index + 1})\\,${hertz}\\,${rest})`,
    '0',
  )
  return `aevalsrc=exprs=0.05*exp(-6*mod(t\\,0.5))*sin(2*PI*t*${note}):sample_rate=48000,asetnsamples=n=${frameSamples}:p=0`
}

function timeOfDay(clock: Clock): string {
  const now = new Date(clock.nowMs())
  return [now.getHours(), now.getMinutes(), now.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}
