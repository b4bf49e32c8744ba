import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorizationOf, credentialOf } from './authorization.ts'

const cases: [address: string, credential: string | undefined, authorization: string | undefined][] = [
  ['http://host:3000', undefined, undefined],
  ['http://root:a%20b@host', 'root:a b', 'Basic cm9vdDphIGI='],
  ['http://root@host', 'root:', 'Basic cm9vdDo='],
  ['http://mrk_1_x-y@host', 'mrk_1_x-y', 'Bearer mrk_1_x-y'],
  ['http://mrk_user:x@host', 'mrk_user:x', 'Basic bXJrX3VzZXI6eA=='],
]
for (const [address, credential, authorization] of cases) {
  test(`${address} is asked with ${authorization ?? 'nothing'}`, () => {
    const found = credentialOf(new URL(address))
    assert.equal(found, credential)
    assert.equal(found && authorizationOf(found), authorization)
  })
}
