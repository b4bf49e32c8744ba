import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { UrlSigner } from './url-signer.ts'

const path = '/api/v1/streams/site%2Fgate/export.mp4?from=2026-01-01T00:00:00Z'

test('a signed address is good until its time is over, and for nothing else', () => {
  const clock = new ManualClock(1_000_000)
  const signer = new UrlSigner({ secret: Buffer.alloc(32, 1), clock })
  const signed = signer.sign(path, { ttlSeconds: 60 })
  assert.equal(signer.isSigned(signed), true)
  assert.equal(signer.isSigned(signed.replace('gate', 'yard')), false)
  assert.equal(signer.isSigned(`${signed}&to=2027-01-01T00:00:00Z`), false)
  assert.equal(signer.isSigned(signed.replace(/access=\d+/, 'access=999999')), false)
  assert.equal(new UrlSigner({ secret: Buffer.alloc(32, 2), clock }).isSigned(signed), false)
  clock.advance(61_000)
  assert.equal(signer.isSigned(signed), false)
})

test('a path without a query, and addresses that were never signed', () => {
  const signer = new UrlSigner({ secret: Buffer.alloc(32, 1), clock: new ManualClock(0) })
  assert.equal(signer.isSigned(signer.sign('/a', { ttlSeconds: 1 })), true)
  for (const other of ['', '/a', '/a?access=', '/a?access=1.x', path]) assert.equal(signer.isSigned(other), false, other)
})
