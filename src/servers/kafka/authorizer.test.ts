import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AclRow } from '#eventlog/metadata/log-metadata.ts'
import { Authorizer, clusterName, type Operation, type ResourceType } from './authorizer.ts'
import { MemorySecurityStore } from './kafka.fixture.ts'

const access = {
  isRequired: () => true,
  hasUser: () => false,
  findPassword: () => undefined,
  isAdmin: (user: string) => user === 'root',
}

/** `alice read topic orders`, with `orders*` for a prefix and `!` in front for a denial. */
function rule(text: string): AclRow {
  const [, deny = '', user = '', operation = '', type = '', name = ''] =
    /^(!?)(\S+) (\S+) (topic|group|cluster) (\S+)$/.exec(text) ?? []
  const isPrefix = name.length > 1 && name.endsWith('*')
  return {
    principal: `User:${user}`,
    operation,
    resourceType: type === 'topic' || type === 'group' ? type : 'cluster',
    resourceName: isPrefix ? name.slice(0, -1) : name,
    patternType: isPrefix ? 'prefixed' : 'literal',
    host: '*',
    permission: deny ? 'deny' : 'allow',
  }
}

const cases: [
  rules: string[],
  user: string | undefined,
  operation: Operation,
  type: ResourceType,
  name: string,
  expected: boolean,
][] = [
  [[], 'root', 'alter', 'cluster', clusterName, true],
  [[], 'alice', 'read', 'topic', 'orders', false],
  [[], undefined, 'read', 'topic', 'orders', false],
  [['alice read topic orders'], 'alice', 'read', 'topic', 'orders', true],
  [['alice read topic orders'], 'bob', 'read', 'topic', 'orders', false],
  [['alice read topic orders'], 'alice', 'write', 'topic', 'orders', false],
  [['alice read topic orders'], 'alice', 'read', 'topic', 'orders2', false],
  [['alice read topic orders'], 'alice', 'read', 'group', 'orders', false],
  [['alice read topic orders*'], 'alice', 'read', 'topic', 'orders2', true],
  [['alice read topic orders*'], 'alice', 'read', 'topic', 'order', false],
  [['alice read topic *'], 'alice', 'read', 'topic', 'anything', true],
  [['* read topic orders'], 'alice', 'read', 'topic', 'orders', true],
  [['* read topic orders'], undefined, 'read', 'topic', 'orders', false],
  [['alice all topic orders'], 'alice', 'delete', 'topic', 'orders', true],
  [['alice write topic orders'], 'alice', 'describe', 'topic', 'orders', true],
  [['alice describe topic orders'], 'alice', 'read', 'topic', 'orders', false],
  [['alice alter-configs topic orders'], 'alice', 'describe-configs', 'topic', 'orders', true],
  [['alice read topic *', '!alice read topic secret'], 'alice', 'read', 'topic', 'secret', false],
  [['alice read topic *', '!alice read topic secret'], 'alice', 'read', 'topic', 'other', true],
  [['alice all topic *', '!* all topic secret*'], 'alice', 'describe', 'topic', 'secret-1', false],
  [['!root all topic *'], 'root', 'read', 'topic', 'orders', true],
]
for (const [rules, user, operation, type, name, expected] of cases) {
  test(`[${rules.join(', ')}]: ${user} may ${expected ? '' : 'not '}${operation} ${type} ${name}`, async () => {
    const store = new MemorySecurityStore()
    await store.addAcls(rules.map(rule))
    const authorizer = await Authorizer.load({ access, store })
    assert.equal(authorizer.isAllowed({ user, host: '10.0.0.1' }, operation, type, name), expected)
  })
}

test('a rule for one host holds there only', async () => {
  const authorizer = await Authorizer.load({ access, store: new MemorySecurityStore() })
  await authorizer.add([{ ...rule('alice read topic orders'), host: '10.0.0.1' }])
  assert.equal(authorizer.isAllowed({ user: 'alice', host: '10.0.0.1' }, 'read', 'topic', 'orders'), true)
  assert.equal(authorizer.isAllowed({ user: 'alice', host: '10.0.0.2' }, 'read', 'topic', 'orders'), false)
})

test('rules are stored once, survive a restart, and are gone when they were removed', async () => {
  const store = new MemorySecurityStore()
  const authorizer = await Authorizer.load({ access, store })
  const rules = [rule('alice read topic orders'), rule('alice write topic app-*')]
  await authorizer.add([...rules, ...rules])
  await authorizer.add(rules)
  assert.deepEqual((await Authorizer.load({ access, store })).rules, rules)
  await authorizer.remove(rules.slice(0, 1))
  assert.deepEqual(authorizer.rules, rules.slice(1))
  assert.deepEqual((await Authorizer.load({ access, store })).rules, rules.slice(1))
})

test('somebody may write somewhere', async () => {
  const authorizer = await Authorizer.load({ access, store: new MemorySecurityStore() })
  await authorizer.add([rule('alice write topic app-*'), rule('bob read topic *')])
  const isWriter = (user: string) => authorizer.isAllowedSomewhere({ user, host: 'h' }, 'write', 'topic')
  assert.deepEqual([isWriter('alice'), isWriter('bob'), isWriter('root')], [true, false, true])
})

test('without users everybody may do everything', async () => {
  const authorizer = await Authorizer.load({ access: { ...access, isRequired: () => false }, store: new MemorySecurityStore() })
  assert.equal(authorizer.isAllowed({ user: undefined, host: 'h' }, 'alter', 'cluster', clusterName), true)
})
