import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nalUnits } from '#formats/media/access-unit.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { createDepacketizer } from './create-depacketizer.ts'
import type { Depacketizer, FrameSink, PayloadProblem, RtpFrame } from './depacketizer.ts'
import { RtpHeader } from './header.ts'
import { aacHighBitRate, type RtpParameters, type RtpTrackDescription } from './track-description.ts'
import { maxUnitBytes } from './video-assembler.ts'

const sps = '6764000aacd94479'
const pps = '68ebe04d2c8b'
const vps265 = '40010c01ffff01600000030090000003000003001e959809'
const sps265 = '42010101600000030090000003000003001ea02083165959ae4caf016808000003000800000300c840'
const pps265 = '4401c173d089'

const h264: RtpParameters = { codec: 'h264' }
const h265: RtpParameters = { codec: 'h265', hasDonl: false }
const h265Donl: RtpParameters = { codec: 'h265', hasDonl: true }
const aac: RtpParameters = {
  codec: 'aac',
  config: Buffer.from('1190', 'hex'),
  sampleRateHz: 48_000,
  channelCount: 2,
  auHeader: aacHighBitRate,
}
const aacLow: RtpParameters = { ...aac, auHeader: { sizeBits: 6, indexBits: 2, indexDeltaBits: 2 } }
const opus: RtpParameters = { codec: 'opus', channelCount: 2 }

/** A packet as `timestamp[m]:payload`, `m` for the marker; `gap` for packets lost. */
type Step = string
/** A frame as `timestamp:data`, NAL units of video apart by spaces, `*` before a keyframe; or a problem; or `discarded`. */
type Outcome = string

const cases: [name: string, parameters: RtpParameters, steps: Step[], outcomes: Outcome[]][] = [
  ['H.264: single unit, marked', h264, ['1m:4188aa'], ['1:4188aa']],
  ['H.264: two slices', h264, ['1:6588aa', '1m:6508bb'], ['*1:6588aa 6508bb']],
  [
    'H.264: no marker, split by timestamp',
    h264,
    ['1:4188aa', '1:4108bb', '2:4188cc', '3:4188dd'],
    ['1:4188aa 4108bb', '2:4188cc'],
  ],
  [
    'H.264: delimiter, filler and parameter sets are taken out',
    h264,
    ['1:0910', `1:${sps}`, `1:${pps}`, '1:0cff80', '1m:6588aa'],
    ['*1:6588aa'],
  ],
  ['H.264: marker on parameter sets alone', h264, [`1m:${sps}`, `1m:${pps}`, '1m:6588aa'], ['*1:6588aa']],
  ['H.264: SEI marked on its own', h264, ['1m:0605020102', '2m:6588aa'], ['*2:0605020102 6588aa']],
  ['H.264: recovery point makes a keyframe', h264, ['1:060601c480', '1m:4188aa'], ['*1:060601c480 4188aa']],
  ['H.264: aggregate', h264, [`1m:18 0008${sps} 0006${pps} 0003 6588aa`], ['*1:6588aa']],
  ['H.264: aggregate filled up with zeros', h264, ['1m:18 0003 4188aa 0000 0000 00'], ['1:4188aa']],
  [
    'H.264: aggregate cut',
    h264,
    ['0m:41ff', '1m:18 0009 4188aa', '2m:4188bb'],
    ['0:41ff', 'payload-malformed', 'discarded', '2:4188bb'],
  ],
  ['H.264: fragments', h264, ['1:7c85 88aa', '1:7c05 bbcc', '1m:7c45 dd'], ['*1:6588aabbccdd']],
  ['H.264: start and end in one fragment', h264, ['1m:7cc5 88aa'], ['*1:6588aa']],
  ['H.264: last fragment not flagged', h264, ['1:7c85 88aa', '1m:7c05 bb', '2m:4188cc'], ['*1:6588aabb', '2:4188cc']],
  [
    'H.264: fragment without start',
    h264,
    ['0m:41ff', '1m:7c05 88aa', '2m:4188bb'],
    ['0:41ff', 'fragment-without-start', 'discarded', '2:4188bb'],
  ],
  ['H.264: fragment too short', h264, ['0m:41ff', '1m:7c'], ['0:41ff', 'payload-malformed', 'discarded']],
  [
    'H.264: units with start codes inside a fragmented one',
    h264,
    [`1:7c87 ${sps.slice(2)}00000001${pps}`, '1m:7c47 000001 6588aa'],
    ['*1:6588aa'],
  ],
  ['H.264: a whole byte stream as one packet', h264, [`1m:00000001${sps}00000001${pps}00000001 6588aa`], ['*1:6588aa']],
  [
    'H.264: unknown packet types',
    h264,
    ['0m:41ff', '1m:19 0001', '2m:1e00', '3m:4188aa'],
    ['0:41ff', 'payload-unsupported', 'discarded', 'payload-unsupported', 'discarded', '3:4188aa'],
  ],
  ['H.264: a loss inside drops the unit', h264, ['1:7c85 88aa', 'gap', '1m:7c45 dd', '2m:4188aa'], ['discarded', '2:4188aa']],
  [
    'H.264: a loss over the border drops both units',
    h264,
    ['1:6588aa', 'gap', '2m:4108aa', '3m:4188bb'],
    ['discarded', 'discarded', '3:4188bb'],
  ],
  ['H.264: a loss of whole units drops nothing', h264, ['1m:6588aa', 'gap', '3m:4188aa'], ['*1:6588aa', '3:4188aa']],
  ['H.264: joined inside a unit', h264, ['1:7c05 bb', '1m:7c45 cc', '2m:4188aa'], ['discarded', '2:4188aa']],
  ['H.264: empty payloads', h264, ['1:', '1m:4188aa', '2m:'], ['1:4188aa']],
  ['H.264: a parameter set that is none', h264, ['1:67640000', '1m:6588aa'], ['parameter-set-invalid', '*1:6588aa']],
  ['H.264: further picture parameter sets stay', h264, [`1:${sps}`, `1:${pps}`, '1:685be0', '1m:6588aa'], ['*1:685be0 6588aa']],
  ['H.265: single unit', h265, ['1m:0201d0aa'], ['1:0201d0aa']],
  [
    'H.265: keyframes by type',
    h265,
    ['1m:2601af', '2m:2801af', '3m:2a01af', '4m:2001af', '5m:0201d0'],
    ['*1:2601af', '*2:2801af', '*3:2a01af', '*4:2001af', '5:0201d0'],
  ],
  [
    'H.265: delimiter, filler and parameter sets are taken out',
    h265,
    ['1:460150', `1:${vps265}`, `1:${sps265}`, `1:${pps265}`, '1:4c01ff80', '1m:2801afaa'],
    ['*1:2801afaa'],
  ],
  ['H.265: aggregate', h265, [`1m:6001 0018${vps265} 0029${sps265} 0006${pps265} 0004 2801afaa 0000`], ['*1:2801afaa']],
  ['H.265: fragments', h265, ['1:6201 94 afaa', '1:6201 14 bb', '1m:6201 54 cc'], ['*1:2801afaabbcc']],
  ['H.265: start and end in one fragment', h265, ['1m:6201 d4 afaa'], ['*1:2801afaa']],
  ['H.265: fragment without start', h265, ['0m:0201ff', '1m:6201 14 afaa'], ['0:0201ff', 'fragment-without-start', 'discarded']],
  [
    'H.265: decoding order numbers',
    h265Donl,
    ['1m:0201 0001 d0aa', '2m:6001 0002 0003 0201d0 03 0003 020150', '3:6201 94 0003 af', '3m:6201 54 bb'],
    ['1:0201d0aa', '2:0201d0 020150', '*3:2801afbb'],
  ],
  [
    'H.265: a loss over the border drops both units',
    h265,
    ['1:2801af', 'gap', '2m:020150', '3m:0201d0'],
    ['discarded', 'discarded', '3:0201d0'],
  ],
  ['AAC: one frame', aac, ['1m:0010 0018 aabbcc'], ['*1:aabbcc']],
  ['AAC: three frames', aac, ['1m:0030 0010 0008 0018 aabb cc ddeeff'], ['*1:aabb', '*1025:cc', '*2049:ddeeff']],
  ['AAC: a frame in fragments', aac, ['1:0010 0028 aabb', '1m:0010 0028 ccddee', '2m:0010 0008 ff'], ['*1:aabbccddee', '*2:ff']],
  [
    'AAC: fragments lost',
    aac,
    ['1:0010 0028 aabb', 'gap', '1m:0010 0028 ee', '2m:0010 0008 ff'],
    ['discarded', 'discarded', '*2:ff'],
  ],
  ['AAC: the next frame instead of a fragment', aac, ['1:0010 0028 aabb', '2m:0010 0008 ff'], ['discarded', '*2:ff']],
  ['AAC: wrapped in ADTS', aac, ['1m:0010 0050 fff14c80015ffc aabbcc'], ['*1:aabbcc']],
  ['AAC: two ADTS frames in one', aac, ['1m:0010 0090 fff14c80013ffc aabb fff14c80013ffc ccdd'], ['*1:aabb', '*1025:ccdd']],
  ['AAC: ADTS cut', aac, ['1m:0010 0050 fff14c80025ffc aabbcc'], ['payload-malformed']],
  ['AAC: low bit rate', aacLow, ['1m:0010 0804 aabb cc'], ['*1:aabb', '*1025:cc']],
  [
    'AAC: header longer than the packet',
    aac,
    ['1m:0080 0018 aa', '1m:00', '1m:0000 aa'],
    ['payload-malformed', 'payload-malformed', 'payload-malformed'],
  ],
  ['AAC: interleaved', aac, ['1m:0020 0008 0009 aa bb'], ['payload-unsupported']],
  ['AAC: a frame of no bytes', aac, ['1m:0010 0000'], ['payload-malformed']],
  ['Opus', opus, ['1:fcfffe', '961:', '1921:fcffff'], ['*1:fcfffe', '*1921:fcffff']],
]

for (const [name, parameters, steps, outcomes] of cases) {
  test(name, () => assert.deepEqual(run(parameters, steps).outcomes, outcomes))
}

test('parameter sets in the stream become parameters, and new ones make new parameters', () => {
  const { depacketizer, push } = run(h264, [`1:${sps}`])
  assert.deepEqual(depacketizer.parameters, { codec: 'h264', sps: fromHex(sps) })
  push(`1:${pps}`)
  const first = depacketizer.parameters
  assert.deepEqual(first, { codec: 'h264', sps: fromHex(sps), pps: fromHex(pps) })
  push(`2:${sps}`)
  push(`2:${pps}`)
  assert.equal(depacketizer.parameters, first)
  const larger = '67640028acd940780227e5c04400000fa40003a9803c60c658'
  push(`3:${larger}`)
  push('3:685be0')
  assert.deepEqual(depacketizer.parameters, { codec: 'h264', sps: fromHex(larger), pps: fromHex('685be0') })
})

test('H.265 parameter sets in the stream become parameters', () => {
  const { depacketizer } = run(h265, [`1:${vps265}`, `1:${sps265}`, `1m:${pps265}`])
  assert.deepEqual(depacketizer.parameters, {
    codec: 'h265',
    hasDonl: false,
    vps: fromHex(vps265),
    sps: fromHex(sps265),
    pps: fromHex(pps265),
  })
})

test('parameter sets of the description are checked too', () => {
  const { depacketizer, outcomes } = run({ codec: 'h264', sps: fromHex('67'), pps: fromHex(pps) }, [])
  assert.deepEqual(depacketizer.parameters, { codec: 'h264', pps: fromHex(pps) })
  assert.deepEqual(outcomes, ['parameter-set-invalid'])
})

test('a unit above the limit is dropped, and the next one is taken', () => {
  const { push, outcomes } = run(h264, ['0m:41ff', '1:7c85 88'])
  const chunk = 'ab'.repeat(60_000)
  for (let bytes = 0; bytes <= maxUnitBytes; bytes += 60_000) push(`1:7c05 ${chunk}`)
  push('1m:7c45 00')
  push('2m:4188aa')
  assert.deepEqual(outcomes, ['0:41ff', 'unit-too-large', 'discarded', '2:4188aa'])
})

function run(
  parameters: RtpParameters,
  steps: readonly Step[],
): { depacketizer: Depacketizer; outcomes: Outcome[]; push: (step: Step) => void } {
  const isVideo = parameters.codec === 'h264' || parameters.codec === 'h265'
  const outcomes: Outcome[] = []
  const depacketizer = createDepacketizer(describe(parameters), recorder(outcomes, isVideo))
  const push = (step: Step): void => {
    if (step === 'gap') return depacketizer.gap()
    const [at = '', payload = ''] = step.split(':')
    pushPacket(depacketizer, { timestamp: Number.parseInt(at, 10), isMarked: at.endsWith('m'), payload: fromHex(payload) })
  }
  steps.forEach(push)
  return { depacketizer, outcomes, push }
}

function describe(parameters: RtpParameters): RtpTrackDescription {
  const isVideo = parameters.codec === 'h264' || parameters.codec === 'h265'
  return { kind: isVideo ? 'video' : 'audio', payloadType: 96, clockRateHz: isVideo ? 90_000 : 48_000, parameters }
}

function recorder(outcomes: Outcome[], isVideo: boolean): FrameSink {
  return {
    frame({ timestamp, isKeyframe, data }: RtpFrame): void {
      const parts = isVideo ? [...nalUnits(data)] : [data]
      outcomes.push(`${isKeyframe ? '*' : ''}${timestamp}:${parts.map((part) => part.toString('hex')).join(' ')}`)
    },
    problem(reason: PayloadProblem): void {
      outcomes.push(reason)
    },
    discarded(): void {
      outcomes.push('discarded')
    },
  }
}

function pushPacket(depacketizer: Depacketizer, packet: { timestamp: number; isMarked: boolean; payload: Buffer }): void {
  const { timestamp, isMarked, payload } = packet
  const header = Object.assign(new RtpHeader(), { timestamp, isMarked, payloadStart: 0, payloadEnd: payload.length })
  depacketizer.push(payload, header, 0)
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

for (const parameters of [h264, h265, h265Donl, aac, aacLow, opus]) {
  const payloads = cases
    .filter(([, of]) => of.codec === parameters.codec)
    .flatMap(([, , steps]) => steps.filter((step) => step !== 'gap').map((step) => fromHex(step.split(':')[1] ?? '')))
  fuzzBytes(`depacketizer of ${parameters.codec}`, payloads, (input) => {
    const depacketizer = createDepacketizer(describe(parameters), recorder([], parameters.codec.startsWith('h26')))
    for (let start = 0, timestamp = 0; start < input.length; start += 20, timestamp += 1) {
      const payload = input.subarray(start, start + 20)
      pushPacket(depacketizer, { timestamp: timestamp % 3, isMarked: timestamp % 2 === 0, payload })
    }
    pushPacket(depacketizer, { timestamp: 9, isMarked: true, payload: input })
  })
}
