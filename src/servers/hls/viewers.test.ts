import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Viewers } from './viewers.ts'

test('a viewer is an address and a user agent, seen in the last ten seconds', () => {
  let nowMs = 1000
  const viewers = new Viewers({ clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } })
  const player = { remoteAddress: '10.0.0.1', userAgent: 'hls.js' }
  const other = { remoteAddress: '10.0.0.1' }
  viewers.see('lobby', player)
  nowMs = 5000
  viewers.see('lobby', other)
  viewers.see('lobby', player)
  viewers.countSent('lobby', player, 700)
  viewers.countSent('gate', player, 700)
  assert.deepEqual(viewers.of('lobby'), [
    { ...player, firstSeenMs: 1000, lastSeenMs: 5000, sentBytes: 700 },
    { ...other, firstSeenMs: 5000, lastSeenMs: 5000, sentBytes: 0 },
  ])
  nowMs = 12_000
  viewers.see('lobby', player)
  nowMs = 15_001
  assert.deepEqual(
    viewers.of('lobby').map((viewer) => viewer.userAgent),
    ['hls.js'],
  )
  nowMs = 30_000
  assert.deepEqual(viewers.of('lobby'), [])
})
