import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { partRange, partUpload } from './part-upload.ts'

const largest = 10_000 * 5 * 2 ** 30

test('parts cover the object without hole or overlap, and there are never too many', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(100_000_000),
        fc.maxSafeNat().map((size) => size % largest),
      ),
      (sizeBytes) => {
        const upload = partUpload({ key: 'a', uploadId: 'b', sizeBytes })
        assert(upload.partCount >= 1 && upload.partCount <= 10_000)
        assert.equal(upload.partBytes % 2 ** 20, 0)
        const last = partRange(upload, upload.partCount - 1)
        assert.equal(last.offsetBytes, (upload.partCount - 1) * upload.partBytes)
        assert.equal(last.offsetBytes + last.sizeBytes, sizeBytes)
        assert(last.sizeBytes > 0 || sizeBytes === 0)
        if (upload.partCount > 1) assert.deepEqual(partRange(upload, 0), { offsetBytes: 0, sizeBytes: upload.partBytes })
      },
    ),
  )
})

test('sizes and parts that cannot be are refused', () => {
  for (const sizeBytes of [-1, 0.5, Number.NaN, Infinity, largest + 1]) {
    assert.throws(() => partUpload({ key: 'a', uploadId: 'b', sizeBytes }), { code: 'LIMIT_EXCEEDED' })
  }
  const upload = partUpload({ key: 'a', uploadId: 'b', sizeBytes: 10_000_000 })
  for (const part of [-1, 0.5, 2]) assert.throws(() => partRange(upload, part), { code: 'REQUEST_INVALID' })
})
