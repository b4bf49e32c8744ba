import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AccessList } from './access.ts'

const camera = { name: 'camera', password: 'a', publish: ['site-1/*'], read: [], admin: false }
const viewer = { name: 'viewer', password: 'b', publish: [], read: ['*'], admin: false }

test('without users everything is allowed', () => {
  const access = new AccessList([])
  assert.equal(access.isRequired(), false)
  assert.equal(access.isAllowed(undefined, 'publish', 'x'), true)
})

const cases: [user: string | undefined, action: 'publish' | 'read', stream: string, isAllowed: boolean][] = [
  ['camera', 'publish', 'site-1/gate', true],
  ['camera', 'publish', 'site-10/gate', false],
  ['camera', 'read', 'site-1/gate', false],
  ['viewer', 'read', 'site-1/gate', true],
  ['nobody', 'read', 'site-1/gate', false],
  [undefined, 'read', 'site-1/gate', false],
]
for (const [user, action, stream, isAllowed] of cases) {
  test(`${user ?? 'an unknown caller'} may${isAllowed ? '' : ' not'} ${action} ${stream}`, () => {
    assert.equal(new AccessList([camera, viewer]).isAllowed(user, action, stream), isAllowed)
  })
}

test('a dot in a pattern is a dot', () => {
  const access = new AccessList([{ ...viewer, read: ['a.b'] }])
  assert.equal(access.isAllowed('viewer', 'read', 'axb'), false)
})

test('a user without a password is one, and the process itself is none', () => {
  const { password: _, ...worker } = viewer
  const access = new AccessList([worker])
  assert.deepEqual([access.hasUser('viewer'), access.findPassword('viewer')], [true, undefined])
  assert.deepEqual([access.hasUser(access.own.name), access.findPassword(access.own.name)], [false, access.own.password])
})
