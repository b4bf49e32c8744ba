import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateMeter } from './rates.ts'

function look(meter: RateMeter, seconds: number, recordsIn: number): void {
  meter.note(new Map([['a', { recordsIn, bytesIn: recordsIn * 100, recordsOut: 0, bytesOut: 0 }]]), seconds * 1000)
}

test('one look gives no rate, two give one', () => {
  const meter = new RateMeter()
  assert.equal(meter.of('a'), undefined)
  look(meter, 1, 100)
  assert.equal(meter.of('a'), undefined)
  look(meter, 3, 150)
  assert.deepEqual(meter.of('a'), { recordsIn: 25, bytesIn: 2500, recordsOut: 0, bytesOut: 0 })
})

test('rates are means over ten seconds, and fall to zero after that', () => {
  const meter = new RateMeter()
  for (let second = 0; second <= 20; second += 2) look(meter, second, second <= 10 ? second * 10 : 100)
  assert.equal(meter.of('a')?.recordsIn, 0)
  look(meter, 22, 120)
  assert.equal(meter.of('a')?.recordsIn, 2)
})

test('a page that was hidden for long compares with its last look', () => {
  const meter = new RateMeter()
  look(meter, 0, 0)
  look(meter, 100, 500)
  assert.equal(meter.of('a')?.recordsIn, 5)
})

test('a counter that fell belongs to another start of the server', () => {
  const meter = new RateMeter()
  look(meter, 0, 1000)
  look(meter, 2, 10)
  assert.equal(meter.of('a'), undefined)
  look(meter, 4, 30)
  assert.equal(meter.of('a')?.recordsIn, 10)
})

test('what is no longer seen is forgotten', () => {
  const meter = new RateMeter()
  look(meter, 0, 0)
  meter.note(new Map(), 1000)
  look(meter, 2, 10)
  assert.equal(meter.of('a'), undefined)
})
