import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { framesPerSecond, outputFrameRate } from './frame-rate.ts'
import { videoOf } from './probe.fixture.ts'

for (const [source, isVariableRate, most, expected] of [
  ['25/1', false, 60, '25/1'],
  ['30000/1001', false, 30, '30000/1001'],
  ['60000/1001', false, 30, '30000/1001'],
  ['60/1', false, 30, '30/1'],
  ['50/1', false, 30, '25/1'],
  ['120/1', false, 30, '30/1'],
  ['48/1', false, 30, '24/1'],
  ['3002/100', false, 30, '1501/50'],
  ['15/2', false, 30, '15/2'],
  ['240/1', false, undefined, '240/1'],
  ['1000/1', false, undefined, '200/1'],
  ['2941/100', true, 60, '30000/1001'],
  ['2996/100', true, 60, '30000/1001'],
  ['3001/100', true, 60, '30/1'],
  ['2500/101', true, 60, '25/1'],
  ['5812/100', true, 30, '30000/1001'],
  ['3/2', true, 30, '5/1'],
  ['400/1', true, 60, '60/1'],
] as const) {
  const kind = isVariableRate ? 'about ' : ''
  test(`a source of ${kind}${source} a second with at most ${most ?? 'any'} has ${expected}`, () => {
    const rate = outputFrameRate(videoOf({ isVariableRate, frameRate: parse(source) }), most)
    assert.deepEqual(rate, parse(expected))
  })
}

test('the rate of a steady source is that of the source, or a whole part of it below the limit', () => {
  const rates = fc.record({ num: fc.integer({ min: 1, max: 240_000 }), den: fc.integer({ min: 1, max: 1001 }) })
  const property = fc.property(rates, fc.integer({ min: 1, max: 240 }), (frameRate, most) => {
    const rate = outputFrameRate(videoOf({ frameRate }), most)
    assert.ok(framesPerSecond(rate) <= most * 1.01 + 1e-9)
    const parts = framesPerSecond(frameRate) / framesPerSecond(rate)
    assert.ok(Math.abs(parts - Math.round(parts)) < 1e-6)
    if (framesPerSecond(frameRate) <= most) assert.equal(Math.round(parts), 1)
  })
  fc.assert(property)
})

function parse(text: string) {
  const [num, den] = text.split('/').map(Number)
  assert.ok(num !== undefined && den !== undefined)
  return { num, den }
}
