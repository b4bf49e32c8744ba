import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { H264DtsExtractor } from './dts-extractor.ts'
import { h264OpenGop, h264Pyramid, type SampleUnit } from './sample-streams.ts'
import { parseH264Sps } from './sps.ts'

const clockRateHz = 90_000
/** The SPS of `h264Pyramid` without its VUI: neither frame rate nor reorder depth are told. */
const spsWithoutVui = Buffer.from('6764000aacd94479', 'hex')

for (const [name, stream] of Object.entries({ h264Pyramid, h264OpenGop })) {
  test(`decode times are the encoder's own: ${name}`, () => {
    const found = decodeTimes(stream, stream[0]?.nals[0])
    assert.deepEqual(
      found,
      stream.map(({ dtsTicks }) => dtsTicks),
    )
  })

  test(`decode times are even after the first pictures when only slices tell the reorder depth: ${name}`, () => {
    const found = decodeTimes(stream, spsWithoutVui)
    assertGrowing(found, stream)
    assert.deepEqual(
      found.slice(3),
      stream.slice(3).map(({ dtsTicks }) => dtsTicks),
    )
  })

  test(`a stream that nothing is known of settles: ${name}`, () => {
    const found = decodeTimes(stream, undefined)
    for (let i = 1; i < found.length; i++) assert.ok((found[i] ?? 0) > (found[i - 1] ?? 0))
    assertGrowing(found.slice(12), stream.slice(12))
  })

  test(`lost pictures leave decode times in order: ${name}`, () => {
    for (let lost = 1; lost < stream.length; lost++) {
      const rest = stream.filter((_, at) => at !== lost && at !== lost + 1)
      assertGrowing(decodeTimes(rest, stream[0]?.nals[0]), rest)
    }
  })
}

test('a timestamp jump re-anchors at once, forward and back', () => {
  for (const jumpTicks of [3_600 * clockRateHz, -3_600 * clockRateHz]) {
    const jumped = h264Pyramid.map((unit, at) => (at < 15 ? unit : { ...unit, ptsTicks: unit.ptsTicks + jumpTicks }))
    const found = decodeTimes(jumped, h264Pyramid[0]?.nals[0])
    assert.deepEqual(
      found.slice(15),
      h264Pyramid.slice(15).map(({ dtsTicks }) => dtsTicks + jumpTicks),
    )
  }
})

test('equal timestamps get decode times of their own', () => {
  const extractor = new H264DtsExtractor(clockRateHz)
  const found = [0, 3600, 3600, 3600, 7200, 10_800, 14_400, 18_000].map((pts) => extractor.next(pts, Buffer.alloc(0)))
  for (let i = 1; i < found.length; i++) assert.ok((found[i] ?? 0) > (found[i - 1] ?? 0), String(found))
  assert.ok((found.at(-1) ?? Infinity) <= 18_000)
})

function decodeTimes(stream: readonly SampleUnit[], sps: Buffer | undefined): number[] {
  const extractor = new H264DtsExtractor(clockRateHz)
  if (sps) extractor.configure(parseH264Sps(sps))
  return stream.map(({ ptsTicks, nals }) => extractor.next(ptsTicks, lengthPrefixed(nals)))
}

function lengthPrefixed(nals: readonly Buffer[]): Buffer {
  return Buffer.concat(nals.flatMap((nal) => [Buffer.of(0, 0, 0, nal.length), nal]))
}

function assertGrowing(found: readonly number[], stream: readonly SampleUnit[]): void {
  found.forEach((dts, at) => {
    assert.ok(dts > (found[at - 1] ?? -Infinity), `decode time ${at} grows: ${found.join(' ')}`)
    assert.ok(dts <= (stream[at]?.ptsTicks ?? -Infinity), `decode time ${at} is not late: ${found.join(' ')}`)
  })
}

fuzzBytes(
  'H264DtsExtractor',
  h264Pyramid.map(({ nals }) => lengthPrefixed(nals)),
  (data) => {
    const extractor = new H264DtsExtractor(clockRateHz)
    extractor.configure(parseH264Sps(spsWithoutVui))
    for (let pts = 0; pts < 5; pts++) extractor.next(pts * 3600, data)
  },
)
