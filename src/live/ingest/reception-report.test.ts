import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReceptionReport } from './reception-report.ts'

const ssrc = 7

test('losses are counted since the beginning and since the last report', () => {
  const report = new ReceptionReport(90_000)
  assert.equal(report.take(ssrc, 0), undefined)
  for (const sequenceNumber of [65_533, 65_534, 0, 1]) report.receive(sequenceNumber, 0, 0)
  assert.deepEqual(report.take(ssrc, 0), {
    ssrc,
    fractionLost: Math.floor(256 / 5),
    cumulativeLost: 1,
    highestSequence: 65_537,
    jitterTicks: 0,
    lastSenderReport: 0,
    delaySinceLastSenderReport: 0,
  })
  report.receive(2, 0, 0)
  const next = report.take(ssrc, 0)
  assert.equal(next?.fractionLost, 0)
  assert.equal(next.cumulativeLost, 1)
})

test('packets that come late or twice make up for losses', () => {
  const report = new ReceptionReport(90_000)
  for (const sequenceNumber of [1, 3, 2, 2]) report.receive(sequenceNumber, 0, 0)
  const block = report.take(ssrc, 0)
  assert.equal(block?.cumulativeLost, -1)
  assert.equal(block.fractionLost, 0)
})

test('a sender that counts anew is not a loss', () => {
  const report = new ReceptionReport(90_000)
  for (const sequenceNumber of [1, 2, 30_000, 30_001]) report.receive(sequenceNumber, 0, 0)
  assert.equal(report.take(ssrc, 0)?.cumulativeLost, 0)
})

test('jitter follows RFC 3550', () => {
  const report = new ReceptionReport(8_000)
  report.receive(1, 0xffff_ff60, 0)
  report.receive(2, 0, 20)
  assert.equal(report.take(ssrc, 0)?.jitterTicks, 0)
  report.receive(3, 160, 60) // 20 ms late
  assert.equal(report.take(ssrc, 0)?.jitterTicks, 10)
})

test('the delay since the last sender report is told', () => {
  const report = new ReceptionReport(8_000)
  report.receive(1, 0, 0)
  report.senderReport(0x1234_5678, 1000)
  const block = report.take(ssrc, 1500)
  assert.equal(block?.lastSenderReport, 0x1234_5678)
  assert.equal(block.delaySinceLastSenderReport, 32_768)
})
