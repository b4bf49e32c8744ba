import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requireMemory } from './profile-session.ts'

test('a snapshot for which there is no memory is refused before it begins', () => {
  requireMemory({ heapBytes: 100e6, availableBytes: 800e6 })
  assert.throws(() => requireMemory({ heapBytes: 100e6, availableBytes: 799e6 }), {
    code: 'PROFILE_TOO_LARGE',
    message: /takes about 800 MB, and 799 MB are free/,
  })
})
