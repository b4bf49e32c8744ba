import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Credentials } from './credentials.ts'
import { MemorySecurityStore, userAccess } from './kafka.fixture.ts'
import { deriveCredential } from './scram.ts'

test('a user of the configuration without a password is let in by nothing, not even by a credential that was stored before', async () => {
  const mechanism = 'SCRAM-SHA-256'
  const salt = Buffer.alloc(24, 1)
  const credential = await deriveCredential(mechanism, { password: 'old', salt, iterations: 4096 })
  const store = new MemorySecurityStore()
  for (const user of ['worker-1', 'stored']) await store.saveScramCredential({ user, mechanism, ...credential })
  const access = { ...userAccess, hasUser: (user: string) => user === 'worker-1', findPassword: () => undefined }
  const credentials = await Credentials.load({ access, store })
  assert.deepEqual(
    [await credentials.isPassword('stored', 'old'), await credentials.isPassword('worker-1', 'old')],
    [true, false],
  )
  assert.notDeepEqual((await credentials.findScram('worker-1', mechanism)).storedKey, credential.storedKey)
  assert.equal(credentials.isConfigured('worker-1'), true)
})
