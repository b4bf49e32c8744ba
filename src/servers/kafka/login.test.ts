import assert from 'node:assert/strict'
import { pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { Kafka, logLevel, type SASLOptions } from 'kafkajs'
import { pino } from 'pino'
import { until } from '../../../test/support/until.ts'
import { KafkaTestClient, startKafkaServer, userAccess } from './kafka.fixture.ts'
import { testCertificate, writeTestCertificate } from '../../../test/support/test-certificate.ts'

const everything = { topics: null }
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** A client of another vendor; undefined: it could log in and ask. */
async function failureOf(
  port: number,
  options: { mechanism?: (typeof mechanisms)[number]; user?: string; password?: string; ca?: string },
): Promise<string | undefined> {
  const { mechanism = 'plain', user = 'root', password = 'rootroot', ca } = options
  const sasl: SASLOptions = { mechanism, username: user, password }
  const kafka = new Kafka({
    brokers: [`localhost:${port}`],
    sasl,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
    ...(ca === undefined ? {} : { ssl: { ca } }),
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.listTopics()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await admin.disconnect()
  }
}

for (const mechanism of mechanisms) {
  test(`kafkajs logs in with ${mechanism}, and not with a wrong password or an unknown user`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    const { port } = kafka.server
    assert.equal(await failureOf(port, { mechanism }), undefined)
    assert.equal(await failureOf(port, { mechanism }), undefined)
    assert.match((await failureOf(port, { mechanism, password: 'rootroo' })) ?? '', /SASL.*(wrong user or password|failed)/i)
    assert.match((await failureOf(port, { mechanism, user: 'nobody' })) ?? '', /SASL.*(wrong user or password|failed)/i)
    assert.equal(kafka.server.stats.failedLogins, 2)
  })

  test(`kafkajs logs in with ${mechanism} as a user that was stored`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    await using admin = await kafka.connect()
    assert.equal(await admin.login('root'), 0)
    const salt = Buffer.from('some salt')
    const upsertions = [
      { name: 'carol', mechanism: 1, iterations: 4096, salt, saltedPassword: pbkdf2Sync('secret', salt, 4096, 32, 'sha256') },
      { name: 'carol', mechanism: 2, iterations: 5000, salt, saltedPassword: pbkdf2Sync('secret', salt, 5000, 64, 'sha512') },
    ]
    const altered = await admin.request('alterUserScramCredentials', 0, { deletions: [], upsertions })
    assert.deepEqual(altered.results, [{ user: 'carol', errorCode: 0, errorMessage: null }])
    const { port } = kafka.server
    assert.equal(await failureOf(port, { mechanism, user: 'carol', password: 'secret' }), undefined)
    assert.match((await failureOf(port, { mechanism, user: 'carol', password: 'Secret' })) ?? '', /SASL/)
  })
}

test('TLS has its own port, with logins and all, and tells clients to come back to it', async () => {
  await using tls = await writeTestCertificate()
  await using kafka = await startKafkaServer({ settings: { tlsPort: 0, host: 'localhost' }, tls, access: userAccess })
  const { tlsPort = 0, port } = kafka.server
  assert.notEqual(tlsPort, port)
  assert.equal(await failureOf(tlsPort, { ca: testCertificate }), undefined)
  const socket = connect({ port: tlsPort, host: 'localhost', ca: testCertificate })
  await using client = new KafkaTestClient(socket)
  assert.equal(await client.login('root'), 0)
  assert.deepEqual(
    (await client.request('metadata', 9, everything)).brokers.map((broker) => [broker.host, broker.port]),
    [['localhost', tlsPort]],
  )
})

test('whoever speaks no TLS on its port is counted and does not stay', async () => {
  await using tls = await writeTestCertificate()
  await using kafka = await startKafkaServer({ settings: { tlsPort: 0 }, tls })
  await using client = await KafkaTestClient.connect(kafka.server.tlsPort ?? 0)
  client.socket.write(Buffer.from('0000000a00120000000000010000', 'hex'))
  await client.untilClosed()
  assert.equal(kafka.server.stats.failedTlsHandshakes, 1)
})

test('TLS needs a certificate that can be read', async () => {
  await assert.rejects(() => startKafkaServer({ settings: { tlsPort: 0 } }), { code: 'CONFIG_INVALID' })
  const tls = { certificateFile: '/nowhere/certificate.pem', keyFile: '/nowhere/key.pem' }
  await assert.rejects(() => startKafkaServer({ settings: { tlsPort: 0 }, tls }), { code: 'CONFIG_INVALID', message: /nowhere/ })
})

test('nothing but logging in can be asked before', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  assert.equal((await client.request('apiVersions', 0, {})).errorCode, 0)
  client.send('metadata', 9, everything)
  await client.untilClosed()
  await using other = await kafka.connect()
  assert.equal(await other.login('alice'), 0)
  assert.equal((await other.request('metadata', 9, everything)).clusterId, 'test-cluster')
})

test('a request behind a login that has not succeeded yet waits for it', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  client.send('saslHandshake', 1, { mechanism: 'PLAIN' })
  client.send('saslAuthenticate', 2, { authBytes: Buffer.from('\0alice\0alicealice') })
  client.send('metadata', 9, everything)
  await until(() => client.waiting === 3, { what: 'all answers' })
})

test('a login that fails ends the connection, late; another mechanism than there is does not', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  const refused = await client.request('saslHandshake', 1, { mechanism: 'GSSAPI' })
  assert.deepEqual(refused, { errorCode: 33, mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] })
  const beganMs = performance.now()
  assert.equal(await client.login('alice', 'wrong'), 58)
  assert.ok(performance.now() - beganMs > 250)
  await client.untilClosed()
})

const tokens: [name: string, mechanism: string, token: Buffer][] = [
  ['PLAIN without a password', 'PLAIN', Buffer.from('\0alice')],
  ['PLAIN with an empty password', 'PLAIN', Buffer.from('\0alice\0')],
  ['PLAIN on behalf of another', 'PLAIN', Buffer.from('root\0alice\0alicealice')],
  ['PLAIN with more behind it', 'PLAIN', Buffer.from('\0alice\0alicealice\0x')],
  ['PLAIN of noise', 'PLAIN', Buffer.from([0xff, 0xfe, 0])],
  ['SCRAM of noise', 'SCRAM-SHA-256', Buffer.from([0xff, 0xfe, 0])],
  ['SCRAM with channel binding', 'SCRAM-SHA-256', Buffer.from('p=tls-unique,,n=alice,r=x')],
]
for (const [name, mechanism, authBytes] of tokens) {
  test(`${name} is refused`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    await using client = await kafka.connect()
    await client.request('saslHandshake', 1, { mechanism })
    assert.equal((await client.request('saslAuthenticate', 1, { authBytes })).errorCode, 58)
    await client.untilClosed()
  })
}

test('a token without a handshake is refused', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  assert.equal((await client.request('saslAuthenticate', 1, { authBytes: Buffer.from('x') })).errorCode, 34)
  await client.untilClosed()
})

test('tokens without headers, as after SaslHandshake version 0', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  await client.request('saslHandshake', 0, { mechanism: 'SCRAM-SHA-256' })
  const token = Buffer.from('n,,n=alice,r=abc')
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(token.length)
  client.socket.write(Buffer.concat([prefix, token]))
  assert.match((await client.frame()).toString(), /^r=abc.{32},s=.{32},i=8192$/)
  client.socket.write(Buffer.concat([prefix, token]))
  await client.untilClosed()
})

test('SCRAM tells nobody who exists: salts stay the same, for users who do not exist too', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  const saltOf = async (user: string): Promise<string> => {
    await using client = await kafka.connect()
    await client.request('saslHandshake', 1, { mechanism: 'SCRAM-SHA-256' })
    const { authBytes } = await client.request('saslAuthenticate', 2, { authBytes: Buffer.from(`n,,n=${user},r=abc`) })
    const [, salt = '', iterations = ''] = /,s=(.*),i=(.*)$/.exec(authBytes.toString()) ?? []
    return `${salt.length} ${iterations} ${salt}`
  }
  const [alice, again, nobody, still] = [
    await saltOf('alice'),
    await saltOf('alice'),
    await saltOf('nobody'),
    await saltOf('nobody'),
  ]
  assert.equal(alice, again)
  assert.equal(nobody, still)
  assert.notEqual(alice, nobody)
  assert.equal(alice.slice(0, 8), nobody.slice(0, 8))
})

test('a second login on a connection must be that of the same user', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using client = await kafka.connect()
  assert.deepEqual([await client.login('alice'), await client.login('alice'), await client.login('root')], [0, 0, 58])
  await client.untilClosed()
})

test('failed logins are logged once a minute for each address', async () => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) })
  await using kafka = await startKafkaServer({ access: userAccess, log })
  for (let i = 0; i < 3; i++) {
    await using client = await kafka.connect()
    assert.equal(await client.login('alice', 'wrong'), 58)
  }
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /"user":"alice".*"msg":"kafka login failed"/)
  assert.ok(!lines.join('').includes('wrong'))
})
