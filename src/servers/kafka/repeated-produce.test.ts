import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOf, type KafkaTestClient, produceOf, startKafkaServer, userAccess } from './kafka.fixture.ts'

type Request = ReturnType<typeof produceOf>

const broken = batchOf(1)
broken[40] = 1 + (broken[40] ?? 0)
/** One kind after the other, and all of them again; records of one byte less and more than a varint of one and of two bytes can say. */
const requests: Request[] = [0, 1, 2].flatMap((round) => [
  produceOf('a', batchOf(1), { index: 0 }),
  produceOf('a', batchOf(2 + round, 40), { index: 1 }),
  produceOf('b', batchOf(1, 16_200 + round * 60), { acks: 1 }),
  produceOf('a', batchOf(1, 40 + round)),
  produceOf('a', Buffer.from(broken)),
  produceOf('a', Buffer.concat([batchOf(1), batchOf(1)])),
  produceOf('a', batchOf(1).subarray(0, 70)),
  produceOf('missing', batchOf(1)),
  produceOf('a', null),
  { ...produceOf('a', batchOf(1)), timeoutMs: 500 + round },
])

async function answersOf(version: number, { isOneClient }: { isOneClient: boolean }) {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a', partitionCount: 2 })
  await kafka.hub.topics.create({ name: 'b' })
  await using first = await kafka.connect()
  const answers = []
  for (const request of requests) {
    if (isOneClient) answers.push(await first.request('produce', version, request))
    else {
      await using client: KafkaTestClient = await kafka.connect()
      answers.push(await client.request('produce', version, request))
    }
  }
  return { answers, offered: kafka.hub.offered }
}

for (const version of [3, 5, 7, 8, 9]) {
  test(`requests of version ${version} that repeat are answered as if each was the first`, async () => {
    const repeated = await answersOf(version, { isOneClient: true })
    const single = await answersOf(version, { isOneClient: false })
    assert.deepEqual(repeated.answers, single.answers)
    assert.equal(single.offered, 0)
    if (version >= 5) assert.ok(repeated.offered >= 15)
  })
}

test('a repeated request is refused once the client may not write any more', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await kafka.hub.topics.create({ name: 'a' })
  await using root = await kafka.connect()
  await root.login('root')
  const rule = {
    resourceType: 2,
    resourceName: 'a',
    patternType: 3,
    principal: 'User:alice',
    host: '*',
    operation: 4,
    permissionType: 3,
  }
  await root.request('createAcls', 2, { creations: [rule].map((one) => ({ ...one, resourcePatternType: one.patternType })) })
  await using alice = await kafka.connect()
  await alice.login('alice')
  const write = async (): Promise<number | undefined> => {
    const { responses } = await alice.request('produce', 9, produceOf('a', batchOf(1)))
    return responses[0]?.partitionResponses[0]?.errorCode
  }
  assert.deepEqual([await write(), await write()], [0, 0])
  const filter = { resourceTypeFilter: 2, resourceNameFilter: 'a', patternTypeFilter: 3, principalFilter: null, hostFilter: null }
  await root.request('deleteAcls', 2, { filters: [{ ...filter, operation: 1, permissionType: 1 }] })
  assert.equal(await write(), 29)
})

test('answers leave in the order of the requests, whichever was known', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  await client.request('produce', 9, produceOf('a', batchOf(1)))
  const answers = [
    client.send('produce', 9, produceOf('a', batchOf(1))),
    client.send('metadata', 9, { topics: null }),
    client.send('produce', 9, produceOf('a', Buffer.from(broken))),
    client.send('produce', 9, produceOf('missing', batchOf(1))),
    client.send('produce', 9, produceOf('a', batchOf(1))),
  ]
  for (const answer of answers) await answer()
  assert.equal(kafka.hub.offered, 3)
})

test('what came before bytes that are no request is taken and answered', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  await client.request('produce', 9, produceOf('a', batchOf(1)))
  client.socket.cork()
  const answers = [1, 2, 3].map(() => client.send('produce', 9, produceOf('a', batchOf(1))))
  client.socket.write(Buffer.from('ffffffff00000000', 'hex'))
  client.socket.uncork()
  for (const answer of answers) assert.equal((await answer()).responses[0]?.partitionResponses[0]?.errorCode, 0)
  assert.equal(kafka.hub.offered, 3)
  await client.untilClosed()
})
