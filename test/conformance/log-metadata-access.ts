import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AclRow, ScramRow } from '#eventlog/metadata/log-metadata.ts'
import type { TestLog } from './log-metadata-fixture.ts'

const acl: AclRow = {
  resourceType: 'topic',
  resourceName: 'orders',
  patternType: 'literal',
  principal: 'User:alice',
  host: '*',
  operation: 'read',
  permission: 'allow',
}
const scram: ScramRow = {
  user: 'alice',
  mechanism: 'SCRAM-SHA-256',
  salt: Buffer.from('00ff', 'hex'),
  storedKey: Buffer.alloc(32, 1),
  serverKey: Buffer.alloc(32, 2),
  iterations: 8192,
}

/** Access rules and credentials. */
export function accessTests(create: () => Promise<TestLog>): void {
  test('access rules are added once and removed exactly', async () => {
    await using log = await create()
    const rules: readonly AclRow[] = [
      acl,
      { ...acl, permission: 'deny' },
      { ...acl, resourceType: 'cluster', resourceName: 'kafka-cluster', principal: 'User:*' },
      { ...acl, resourceType: 'group', patternType: 'prefixed', host: '10.0.0.1' },
    ]
    for (let i = 0; i < 2; i++) await log.metadata.addAcls([...rules, acl])
    assert.deepEqual(new Set(await log.metadata.loadAcls()), new Set(rules))
    assert.equal((await log.metadata.loadAcls()).length, 4)
    const removed = [acl, { ...acl, resourceName: 'other' }, { ...acl, resourceType: 'group' } as const]
    for (let i = 0; i < 2; i++) await log.metadata.removeAcls(removed)
    assert.deepEqual(new Set(await log.metadata.loadAcls()), new Set(rules.slice(1)))
    await log.metadata.addAcls([])
    await log.metadata.removeAcls([])
  })

  test('a credential is one for each user and mechanism', async () => {
    await using log = await create()
    const other = { ...scram, mechanism: 'SCRAM-SHA-512' } as const
    for (const row of [scram, other]) await log.metadata.saveScramCredential(row)
    const changed = { ...scram, salt: Buffer.from('01', 'hex'), iterations: 4096 }
    for (let i = 0; i < 2; i++) await log.metadata.saveScramCredential(changed)
    assert.deepEqual(await log.metadata.loadScramCredentials(), [changed, other])
    assert.equal(await log.metadata.deleteScramCredential({ user: 'alice', mechanism: 'SCRAM-SHA-256' }), true)
    assert.equal(await log.metadata.deleteScramCredential({ user: 'alice', mechanism: 'SCRAM-SHA-256' }), false)
    assert.deepEqual(await log.metadata.loadScramCredentials(), [other])
  })
}
