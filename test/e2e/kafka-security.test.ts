import assert from 'node:assert/strict'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { Admin, type SASLMechanismValue } from '@platformatic/kafka'
import kafkajs, { type KafkaConfig, type SASLOptions } from 'kafkajs'
import { KafkaTestClient } from '#servers/kafka/kafka.fixture.ts'
import { otherCertificate } from '../support/test-certificate.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { kafkajsClient } from '../support/kafkajs.ts'
import { kcat, runKcat, type KcatResult } from '../support/kcat.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'

// CommonJS: not all names can be imported.
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

const users = { root: 'the root password', app: 'päss,word=1', other: 'other password' }
type User = keyof typeof users
const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
type Mechanism = (typeof mechanisms)[number]

type Login = { readonly mechanism?: Mechanism; readonly user?: string; readonly password?: string }

/** Options of librdkafka for a login. */
function saslArgs({ mechanism = 'PLAIN', user = 'root', password = users.root }: Login, protocol = 'SASL_PLAINTEXT'): string[] {
  const settings = [
    `security.protocol=${protocol}`,
    `sasl.mechanism=${mechanism}`,
    `sasl.username=${user}`,
    `sasl.password=${password}`,
  ]
  return settings.flatMap((setting) => ['-X', setting])
}

function saslOf(user: User, mechanism: Lowercase<Mechanism> = 'scram-sha-256'): SASLOptions {
  return { mechanism, username: user, password: users[user] }
}

suite('users, passwords and TLS', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open({ users, admin: 'root', hasTls: true })
    await node.agent.topics.create({ name: 'secret' })
  })
  after(() => node[Symbol.asyncDispose]())

  /** What a client with this login makes of the list of topics. */
  const list = (login: Login): Promise<KcatResult> => runKcat(node, ['-L', '-m', '5', ...saslArgs(login)])

  for (const mechanism of mechanisms) {
    test(`kcat logs in with ${mechanism}, produces and consumes`, async () => {
      const topic = `kcat-${mechanism}`
      const login = saslArgs({ mechanism })
      await kcat(node, ['-P', '-t', topic, ...login], 'one\ntwo')
      assert.deepEqual(await kcat(node, ['-C', '-t', topic, '-o', 'beginning', '-e', '-q', ...login]), ['one', 'two'])
    })

    test(`${mechanism}: a wrong password and an unknown user are refused alike, and nothing is shown`, async () => {
      const failures = node.server.stats.failedLogins
      const refused = await Promise.all([list({ mechanism, password: 'wrong' }), list({ mechanism, user: 'nobody' })])
      for (const { stdout, stderr, code } of refused) {
        assert.equal(stdout, '')
        assert.notEqual(code, 0)
        assert.match(stderr, /authentication error: wrong user or password/)
      }
      assert.ok(node.server.stats.failedLogins >= failures + 2)
    })

    test(`kafkajs and @platformatic/kafka log in with ${mechanism}`, async () => {
      const lower: Record<Mechanism, Lowercase<Mechanism>> = {
        PLAIN: 'plain',
        'SCRAM-SHA-256': 'scram-sha-256',
        'SCRAM-SHA-512': 'scram-sha-512',
      }
      const admin = kafkajsClient(node, { sasl: saslOf('root', lower[mechanism]) }).admin()
      await admin.connect()
      assert.ok((await admin.listTopics()).includes('secret'))
      await admin.disconnect()
      const platformatic = (password: string): Admin => {
        const sasl: { mechanism: SASLMechanismValue; username: string; password: string } = {
          mechanism,
          username: 'root',
          password,
        }
        return new Admin({ clientId: 'test', bootstrapBrokers: [node.brokers], retries: 0, sasl })
      }
      const [right, wrong] = [platformatic(users.root), platformatic('wrong')]
      assert.ok((await right.listTopics()).includes('secret'))
      await assert.rejects(wrong.listTopics())
      await Promise.all([right.close(), wrong.close()])
    })
  }

  test('whoever does not log in gets nothing', async () => {
    const { stdout, code } = await runKcat(node, ['-L', '-m', '3'])
    assert.equal(stdout, '')
    assert.notEqual(code, 0)
    const admin = kafkajsClient(node, { retry: { retries: 0 } }).admin()
    await assert.rejects(admin.connect().then(() => admin.listTopics()))
    await admin.disconnect()
  })

  test('a password with any signs', async () => {
    for (const mechanism of mechanisms) {
      const { stderr, code } = await list({ mechanism, user: 'app', password: users.app })
      assert.deepEqual([code, stderr], [0, ''], mechanism)
    }
  })

  test('over TLS, with every mechanism', async () => {
    for (const mechanism of mechanisms) {
      const args = [...saslArgs({ mechanism }, 'SASL_SSL'), '-X', `ssl.ca.location=${node.certificateFile}`]
      const topic = `tls-${mechanism}`
      await kcat({ brokers: node.tlsBrokers }, ['-P', '-t', topic, ...args], 'one')
      assert.deepEqual(await kcat({ brokers: node.tlsBrokers }, ['-C', '-t', topic, '-o', 'beginning', '-e', '-q', ...args]), [
        'one',
      ])
    }
    const ssl: KafkaConfig['ssl'] = { ca: await readFile(node.certificateFile, 'utf8') }
    const admin = kafkajsClient({ brokers: node.tlsBrokers }, { ssl, sasl: saslOf('root') }).admin()
    await admin.connect()
    assert.ok((await admin.listTopics()).includes('tls-PLAIN'))
    await admin.disconnect()
  })

  test('a client that trusts another certificate does not speak; one without TLS learns nothing', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'other.pem')
    await writeFile(file, otherCertificate)
    const where = { brokers: node.tlsBrokers }
    const args = [...saslArgs({}, 'SASL_SSL'), '-X', `ssl.ca.location=${file}`]
    const distrusting = await runKcat(where, ['-L', '-m', '3', ...args])
    assert.match(distrusting.stderr, /SSL handshake failed|certificate verify failed/i)
    const plain = await runKcat(where, ['-L', '-m', '3', ...saslArgs({})])
    assert.notEqual(plain.code, 0)
    assert.equal(plain.stdout, '')
  })

  test('a user that an administrator stores can log in until he is removed', async () => {
    await using client = await KafkaTestClient.connect(node.port)
    assert.equal(await client.login('root', users.root), 0)
    const salt = randomBytes(16)
    const stored = { name: 'carol', mechanism: 1, iterations: 4096, salt }
    const saltedPassword = pbkdf2Sync('her password', salt, 4096, 32, 'sha256')
    const alter = (
      deletions: { name: string; mechanism: number }[],
      upsertions: (typeof stored & { saltedPassword: Buffer })[],
    ) => client.request('alterUserScramCredentials', 0, { deletions, upsertions })
    assert.deepEqual(
      (await alter([], [{ ...stored, saltedPassword }])).results.map(({ errorCode }) => errorCode),
      [0],
    )
    const login = { mechanism: 'SCRAM-SHA-256', user: 'carol', password: 'her password' } as const
    assert.equal((await list(login)).code, 0)
    assert.equal((await list({ ...login, mechanism: 'PLAIN' })).code, 0)
    assert.notEqual((await list({ ...login, mechanism: 'SCRAM-SHA-512' })).code, 0, 'that credential is not stored')
    await node.restart()
    assert.equal((await list(login)).code, 0, 'it is kept')
    await using again = await KafkaTestClient.connect(node.port)
    assert.equal(await again.login('root', users.root), 0)
    const removed = await again.request('alterUserScramCredentials', 0, { deletions: [stored], upsertions: [] })
    assert.equal(removed.results[0]?.errorCode, 0)
    assert.notEqual((await list(login)).code, 0)
  })
})

suite('access rules', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open({ users, admin: 'root' })
    for (const name of ['app-1', 'app-2', 'other']) await node.agent.topics.create({ name })
  })
  after(() => node[Symbol.asyncDispose]())

  const rule = (changes: {
    resourceType?: number
    resourceName?: string
    resourcePatternType?: number
    operation?: number
    permissionType?: number
    principal?: string
  }) => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: 'app-',
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: 'User:app',
    host: '*',
    operation: AclOperationTypes.WRITE,
    permissionType: AclPermissionTypes.ALLOW,
    ...changes,
  })
  const everything = {
    resourceType: AclResourceTypes.ANY,
    resourcePatternType: ResourcePatternTypes.ANY,
    operation: AclOperationTypes.ANY,
    permissionType: AclPermissionTypes.ANY,
  }
  const app = saslArgs({ mechanism: 'SCRAM-SHA-512', user: 'app', password: users.app })
  const produce = (topic: string) => runKcat(node, ['-P', '-t', topic, '-X', 'message.timeout.ms=5000', ...app], 'value')
  const consume = (topic: string) => runKcat(node, ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', ...app])

  test('let a user do what they say, to what they name, until they are removed', async () => {
    const admin = kafkajsClient(node, { sasl: saslOf('root') }).admin()
    await admin.connect()
    assert.match((await produce('app-1')).stderr, /Topic authorization failed/)
    const rules = [
      rule({}),
      rule({ operation: AclOperationTypes.READ }),
      rule({
        operation: AclOperationTypes.READ,
        resourceType: AclResourceTypes.GROUP,
        resourceName: 'app-group',
        resourcePatternType: 3,
      }),
    ]
    await admin.createAcls({ acl: rules })
    assert.deepEqual([(await produce('app-1')).code, (await produce('app-2')).code], [0, 0])
    assert.match((await produce('other')).stderr, /Topic authorization failed/)
    assert.match((await consume('other')).stderr, /Topic authorization failed/)
    assert.equal((await consume('app-1')).stdout, 'value\n')
    const groupRead = (group: string) =>
      runKcat(node, ['-G', group, '-c', '1', '-X', 'auto.offset.reset=earliest', ...app, 'app-1'])
    assert.equal((await groupRead('app-group')).stdout, 'value\n')
    assert.match((await groupRead('someone-else')).stderr, /you may not see this group/)
    // Only what one may see is listed.
    const [listed] = await kcat(node, ['-L', '-J', ...app])
    const { topics }: { topics?: readonly { topic: string }[] } = JSON.parse(listed ?? '')
    assert.deepEqual(
      topics?.map(({ topic }) => topic),
      ['app-1', 'app-2'],
    )
    // Deny comes before allow.
    await admin.createAcls({
      acl: [rule({ permissionType: AclPermissionTypes.DENY, resourceName: 'app-2', resourcePatternType: 3 })],
    })
    assert.match((await produce('app-2')).stderr, /Topic authorization failed/)
    assert.equal((await produce('app-1')).code, 0)
    const { resources } = await admin.describeAcls(everything)
    assert.equal(resources.flatMap(({ acls }) => acls).length, 4)
    await node.restart()
    assert.match((await produce('app-2')).stderr, /Topic authorization failed/)
    const { filterResponses } = await admin.deleteAcls({ filters: [everything] })
    assert.equal(filterResponses[0]?.matchingAcls.length, 4)
    assert.match((await produce('app-1')).stderr, /Topic authorization failed/)
    await admin.disconnect()
  })

  test('whoever is no administrator changes neither rules nor topics', async () => {
    const admin = kafkajsClient(node, { sasl: saslOf('other'), retry: { retries: 0 } }).admin()
    await admin.connect()
    await assert.rejects(admin.createAcls({ acl: [rule({ principal: 'User:other' })] }), /authorization failed/i)
    await assert.rejects(admin.describeAcls(everything), /authorization failed/i)
    await assert.rejects(admin.createTopics({ topics: [{ topic: 'mine' }] }))
    await assert.rejects(admin.deleteTopics({ topics: ['app-1'] }))
    assert.deepEqual(await admin.listTopics(), [])
    await admin.disconnect()
    assert.equal(node.agent.topics.find('mine'), undefined)
    assert.ok(node.agent.topics.find('app-1'))
  })
})
