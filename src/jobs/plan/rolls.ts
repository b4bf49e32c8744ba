/** What an encoder is given around a chunk, so that it decides as it would in one pass. */
import { noRolls, type Rational, type Rolls, type VideoEncoder } from '#codec/transcoding.ts'
import { framesPerSecond } from './frame-rate.ts'

/** Encoders settle within so much of a film, as far as they do. */
const rollSeconds = 4
/** Encoders look ahead by frames, not by seconds: x264 by 60 at most. */
const fewestRollFrames = 60
/**
 * x264 and x265 take the quantizer of a keyframe from the mean of all frames before it, in which each weighs 5 % more than the one before. So many frames behind
 * its start the first weighs 10⁻⁸, and no block of a picture is rounded otherwise for it. With 120, chunks of 1080p were
 * not those of one pass in six places of seven (x264 veryfast and medium, x265 fast and medium).
 */
const settlingFrames = 300
/** Presets of x264 without macroblock tree: each frame has a quantizer after its own content. */
const x264WithoutTree = new Set(['ultrafast', 'superfast'])
/** Presets of x264 that predict motion in B-frames as was better in those before. */
const x264WithDirectAuto = new Set(['slow', 'slower', 'veryslow', 'placebo'])
/** Presets of x265 in which the same frames of each group are B-frames, whatever they show. */
const x265WithFixedPattern = new Set(['ultrafast', 'superfast', 'veryfast', 'faster', 'fast'])

/**
 * Behind the chunk only what looks ahead needs frames. Before it all depends on what an encoder remembers across a keyframe. With a ceiling (`capped`) that is
 * the state of a buffer, and chunks are never those of one pass, with an average rate everything.
 */
export function rollsOf(video: VideoEncoder, frameRate: Rational): Rolls {
  const frames = Math.max(fewestRollFrames, Math.ceil(rollSeconds * framesPerSecond(frameRate)))
  const preRollFrames = wholeGops(frames, video.gopFrames)
  switch (video.rate.mode) {
    case 'crf':
      return { ...memoryOf(video, preRollFrames), postRollFrames: frames }
    case 'capped':
      return { ...noRolls, preRollFrames }
    case 'average':
      return noRolls
    default:
      return video.rate satisfies never
  }
}

/**
 * Where the quantizers of a pass do not follow from what it shows, any picture will do to settle, and one that stands still costs a third of one that moves.
 * Elsewhere it takes as many pictures of the film.
 */
function memoryOf({ encoder, preset, gopFrames }: VideoEncoder, preRollFrames: number): Omit<Rolls, 'postRollFrames'> {
  const settledByStills = { stillFrames: settlingFrames, preRollFrames: 0 }
  const settledByFilm = { stillFrames: 0, preRollFrames: wholeGops(settlingFrames, gopFrames) }
  switch (encoder) {
    case 'libx264':
      if (x264WithoutTree.has(preset)) return settledByFilm
      return x264WithDirectAuto.has(preset) ? { ...settledByStills, preRollFrames } : settledByStills
    case 'libx265':
      return x265WithFixedPattern.has(preset) ? settledByStills : settledByFilm
    case 'libsvtav1':
      // It remembers nothing: the same pictures came out with and without.
      return { stillFrames: 0, preRollFrames: gopFrames }
    default:
      return { stillFrames: 0, preRollFrames }
  }
}

/** So that keyframes fall where they do in one pass. */
function wholeGops(frames: number, gopFrames: number): number {
  return Math.ceil(frames / gopFrames) * gopFrames
}
