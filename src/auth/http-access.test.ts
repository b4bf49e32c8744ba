import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { AccessList } from './access.ts'
import { HttpAccess, type HttpRequest } from './http-access.ts'
import { rightsOf } from './rights.ts'
import { UrlSigner } from './url-signer.ts'

const users = [
  { name: 'root', password: 'r:1', publish: [], read: [], admin: true },
  { name: 'viewer', password: 'v', publish: [], read: ['lobby'], admin: false },
]
const clock = new ManualClock()
const signer = new UrlSigner({ secret: Buffer.alloc(32), clock })
const keys = {
  check: async (text: string) => {
    if (text !== 'admin' && text !== 'lobby') throw new AppError('UNAUTHORIZED', 'the API key is wrong')
    return { name: text, rights: rightsOf({ publish: [], read: ['lobby'], admin: text === 'admin' }) }
  },
}

async function outcome(
  request: Partial<HttpRequest> = {},
  access = new HttpAccess({ users: new AccessList(users), keys, signer, clock }),
) {
  const path = '/api/v1/status'
  const usual = { method: 'GET', path, url: path, remoteAddress: '10.0.0.1', isPage: false, isForAdmins: false }
  try {
    return await access.check({ ...usual, ...request })
  } catch (error) {
    return error instanceof AppError ? error.code : 'INTERNAL'
  }
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
const lobby = '/api/v1/streams/lobby'

const cases: [what: string, request: Partial<HttpRequest>, outcome: string][] = [
  ['nobody', {}, 'UNAUTHORIZED'],
  ['a user looks', { authorization: basic('viewer:v') }, 'viewer'],
  ['a password with a colon', { authorization: basic('root:r:1') }, 'root'],
  ['a wrong password', { authorization: basic('viewer:x') }, 'UNAUTHORIZED'],
  ['a user changes', { authorization: basic('viewer:v'), method: 'POST' }, 'FORBIDDEN'],
  ['a key looks', { authorization: 'Bearer lobby' }, 'key:lobby'],
  ['a key looks at its stream', { authorization: 'bearer lobby', path: lobby }, 'key:lobby'],
  ['a key looks at another stream', { authorization: 'Bearer lobby', path: '/hls/gate/index.m3u8' }, 'FORBIDDEN'],
  ['a key changes', { authorization: 'Bearer lobby', method: 'DELETE' }, 'FORBIDDEN'],
  ['an admin key changes', { authorization: 'Bearer admin', method: 'DELETE' }, 'key:admin'],
  ['a wrong key', { authorization: 'Bearer nobody' }, 'UNAUTHORIZED'],
  ['a key as a password', { authorization: basic('admin:admin') }, 'UNAUTHORIZED'],
  ['a user looks at what is for admins', { authorization: basic('viewer:v'), isForAdmins: true }, 'FORBIDDEN'],
  ['a key looks at what is for admins', { authorization: 'Bearer lobby', isForAdmins: true }, 'FORBIDDEN'],
  ['an admin looks at what is for admins', { authorization: basic('root:r:1'), isForAdmins: true }, 'root'],
]
for (const [what, request, expected] of cases) {
  test(`${what}: ${expected}`, async () => {
    assert.equal(await outcome(request), expected)
  })
}

test('a signed address is read without credentials, unless it is for admins', async () => {
  const url = signer.sign('/api/v1/status', { ttlSeconds: 60 })
  assert.equal(await outcome({ url }), undefined)
  assert.equal(await outcome({ url, isForAdmins: true }), 'UNAUTHORIZED')
})

test('without users everything is open, keys are not looked at, and what is for admins is for this machine', async () => {
  const open = new HttpAccess({ users: new AccessList([]), keys, signer, clock })
  assert.equal(await outcome({ method: 'DELETE', authorization: 'Bearer nobody' }, open), undefined)
  assert.equal(await outcome({ isForAdmins: true }, open), 'FORBIDDEN')
  assert.equal(await outcome({ isForAdmins: true, remoteAddress: '::1' }, open), undefined)
  assert.equal(await outcome({ isForAdmins: true, remoteAddress: '::1', isPage: true }, open), 'FORBIDDEN')
})
