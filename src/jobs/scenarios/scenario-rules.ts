/** What a scenario may not ask for, beyond what its schema says. */
import type { AudioEncoder, Rate, VideoCodec } from '#codec/transcoding.ts'
import type { KeyPath } from '#lib/config/key-path.ts'
import type { Finding } from '#lib/config/validate.ts'
import { autoEncoder } from '../plan/encoder-choice.ts'
import { findEncoder, hardwareEncoders, softwareEncoder } from '../plan/encoders.ts'
import type { Rendition, Scenario } from '../scenario.ts'

/** Everything that is wrong, each as the rest of a sentence that begins with its place. Empty when it can be done. */
export function scenarioProblems(scenario: Scenario): Finding[] {
  return [
    ...scenario.renditions.flatMap((rendition, index) => renditionProblems(rendition, ['renditions', index])),
    ...doubledRungs(scenario),
    ...unevenFrameRates(scenario),
    ...lengthProblems(scenario),
    ...formatProblems(scenario),
    ...(scenario.audio ? audioProblems(scenario.audio) : []),
    ...(scenario.kind === 'live' ? liveProblems(scenario) : []),
  ]
}

/** Files of a package that have names of their own. */
const takenNames = /^(audio(-\d+)?|master|manifest|poster|storyboard|thumbnails)$|-iframes$/

function renditionProblems({ name, codec, encoder, preset, bitDepth, rate }: Rendition, path: KeyPath): Finding[] {
  const problems: Finding[] = []
  const refuse = (key: string, message: string): void => void problems.push({ path: [...path, key], message })
  if (takenNames.test(name)) refuse('name', `is "${name}", which names another file of the result; take another name`)
  const isAuto = encoder === autoEncoder
  const facts = encoder === undefined || isAuto ? softwareEncoder(codec) : findEncoder(codec, encoder)
  if (facts === undefined)
    refuse('encoder', `is "${encoder}", but ${codec} is made by ${encoderNames(codec)}; leave it out for the first`)
  if (preset !== undefined && facts && !facts.presets.test(preset)) {
    refuse('preset', `is "${preset}", which ${facts.name} does not know; leave it out for "${facts.preset}"`)
  }
  if (bitDepth === 10 && codec !== 'h265' && codec !== 'av1') {
    refuse('bitDepth', `is 10, which hardly any player shows in ${codec}; take h265 or av1, or 8`)
  }
  return [...problems, ...rateProblems(rate, codec, [...path, 'rate'])]
}

function encoderNames(codec: VideoCodec): string {
  return [softwareEncoder(codec), ...hardwareEncoders(codec)].map(({ name }) => name).join(', ') + `, ${autoEncoder}`
}

const worstQuality = { h264: 51, h265: 51, av1: 63, vp9: 63 } as const
/** A buffer that is shorter than a picture or two cannot be kept. */
const shortestBufferMs = 100

function rateProblems(rate: Rate, codec: VideoCodec, path: KeyPath): Finding[] {
  const problems: Finding[] = []
  const refuse = (key: string, message: string): void => void problems.push({ path: [...path, key], message })
  if (rate.mode !== 'average' && rate.crf > worstQuality[codec]) {
    refuse('crf', `is ${rate.crf}, but ${codec} goes from 0, the best, to ${worstQuality[codec]}`)
  }
  if (rate.mode !== 'crf' && rate.bufferMs < shortestBufferMs) {
    refuse('bufferMs', `is ${rate.bufferMs}, but must be ${shortestBufferMs} or more; 2000 is usual`)
  }
  if (rate.mode === 'average' && rate.maxBitsPerSecond < rate.bitsPerSecond) {
    refuse('maxBitsPerSecond', `is ${rate.maxBitsPerSecond}, less than the average of ${rate.bitsPerSecond}; raise it`)
  }
  return problems
}

function doubledRungs({ renditions }: Scenario): Finding[] {
  return renditions.flatMap((rendition, index): Finding[] => {
    const before = renditions.slice(0, index)
    const path = ['renditions', index] as const
    if (before.some(({ name }) => name === rendition.name)) {
      return [{ path: [...path, 'name'], message: `is "${rendition.name}", which another rendition has; give each its own` }]
    }
    const twin = before.find((other) => isSameRung(other, rendition))
    return twin ? [{ path, message: `is the same as rendition "${twin.name}"; leave one out` }] : []
  })
}

function isSameRung(one: Rendition, other: Rendition): boolean {
  return one.codec === other.codec && one.height === other.height && JSON.stringify(one.rate) === JSON.stringify(other.rate)
}

/** All tracks of a package are cut at the same frames, so they have one rate. */
function unevenFrameRates({ renditions }: Scenario): Finding[] {
  const [first] = renditions
  return renditions.flatMap(({ maxFrameRate }, index): Finding[] => {
    if (maxFrameRate === first?.maxFrameRate) return []
    const message = `is ${maxFrameRate ?? 'absent'}, but ${first?.maxFrameRate ?? 'absent'} in the first rendition; all must have the same`
    return [{ path: ['renditions', index, 'maxFrameRate'], message }]
  })
}

function lengthProblems({ gopSeconds, segmentSeconds, chunkSeconds }: Scenario): Finding[] {
  const problems: Finding[] = []
  if (gopSeconds > segmentSeconds) {
    const message = `is ${gopSeconds}, more than segmentSeconds (${segmentSeconds}): a segment begins with a keyframe; lower it`
    problems.push({ path: ['gopSeconds'], message })
  }
  if (chunkSeconds !== 0 && chunkSeconds < gopSeconds) {
    const message = `is ${chunkSeconds}, less than gopSeconds (${gopSeconds}); raise it, or set 0 for one piece`
    problems.push({ path: ['chunkSeconds'], message })
  }
  return problems
}

function formatProblems({ format, renditions, audio }: Scenario): Finding[] {
  if (renditions.length === 0 && audio === undefined) {
    return [{ path: ['renditions'], message: 'is empty, and there is no audio: nothing would be made; add one of them' }]
  }
  if (format === 'mp4' && renditions.length > 1) {
    return [{ path: ['renditions'], message: `has ${renditions.length}, but one MP4 file holds one; take the format cmaf` }]
  }
  return []
}

const fewestBitsPerChannel = 6000
const mostBitsPerChannel = 320_000

function audioProblems({ codec, bitsPerSecond, channels, sampleRate }: AudioEncoder): Finding[] {
  const problems: Finding[] = []
  if (codec === 'opus' && sampleRate !== 48_000) {
    problems.push({ path: ['audio', 'sampleRate'], message: `is ${sampleRate}, but Opus has 48000 only` })
  }
  const least = fewestBitsPerChannel * channels
  const most = mostBitsPerChannel * channels
  if (bitsPerSecond < least || bitsPerSecond > most) {
    const message = `is ${bitsPerSecond}, but must be from ${least} to ${most} with channels: ${channels}`
    problems.push({ path: ['audio', 'bitsPerSecond'], message })
  }
  return problems
}

function liveProblems({ renditions, format }: Scenario): Finding[] {
  const [rendition, ...others] = renditions
  if (rendition === undefined || others.length > 0) {
    return [
      { path: ['renditions'], message: `has ${renditions.length}, but a live job publishes one stream; submit a job for each` },
    ]
  }
  const problems: Finding[] = []
  const { codec, rate } = rendition
  if (codec !== 'h264' && codec !== 'h265') {
    problems.push({ path: ['renditions', 0, 'codec'], message: `is ${codec}, but streams carry h264 and h265` })
  }
  if (rate.mode === 'crf') {
    problems.push({ path: ['renditions', 0, 'rate'], message: 'has no ceiling, which a live stream needs; take the mode capped' })
  }
  if (format !== 'cmaf') {
    problems.push({ path: ['format'], message: `is ${format}, but a live job leaves no file; leave it out` })
  }
  return problems
}
