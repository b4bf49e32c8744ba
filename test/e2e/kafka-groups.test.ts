import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { KafkaTestClient } from '#servers/kafka/kafka.fixture.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { kcat, KcatProcess } from '../support/kcat.ts'
import { until } from '../support/until.ts'

const patienceMs = 60_000
/** A member that dies is noticed after its session; the test should not take long. */
const quick = ['-X', 'session.timeout.ms=6000', '-X', 'heartbeat.interval.ms=500', '-X', 'auto.commit.interval.ms=200']
const fromEarliest = ['-X', 'auto.offset.reset=earliest']

type View = NonNullable<ReturnType<KafkaNode['agent']['groups']['describe']>>

suite('consumer groups of kcat', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open()
  })
  after(() => node[Symbol.asyncDispose]())

  const member = (group: string, topic: string, ...args: string[]): Promise<KcatProcess> =>
    KcatProcess.start(node, [...quick, ...fromEarliest, '-f', '%p %o %s\\n', '-u', ...args, '-G', group, topic])

  const untilGroup = (group: string, what: string, isWanted: (view: View) => boolean): Promise<View> =>
    until(
      () => {
        const view = node.agent.groups.describe(group)
        return view && isWanted(view) ? view : undefined
      },
      { what: `group ${group} ${what}`, timeoutMs: patienceMs },
    )
  const untilStable = (group: string, members: number): Promise<View> =>
    untilGroup(group, `to be stable with ${members}`, (view) => view.state === 'Stable' && view.members.length === members)

  /** Records `from` to `to`, in turn over the partitions. */
  const produce = async (topic: string, from: number, to: number): Promise<void> => {
    const partitions = node.agent.topics.get(topic).partitions.length
    for (let partition = 0; partition < partitions; partition++) {
      const mine = Array.from({ length: to - from }, (_, index) => from + index).filter(
        (index) => index % partitions === partition,
      )
      await kcat(node, ['-P', '-t', topic, '-p', String(partition)], mine.join('\n'))
    }
  }
  const numbersOf = (members: readonly KcatProcess[]): number[] =>
    members.flatMap(({ lines }) => lines.map((line) => Number(line.split(' ')[2]))).toSorted((a, b) => a - b)
  const untilRead = async (members: readonly KcatProcess[], count: number): Promise<void> => {
    const seen = () => new Set(numbersOf(members)).size
    await until(() => seen() >= count, { what: `${count} records, not ${seen()}`, timeoutMs: patienceMs })
  }
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

  test('the partitions of a member that is killed go to the other, and nothing is left out', async () => {
    await node.agent.topics.create({ name: 'orders', partitionCount: 4 })
    await produce('orders', 0, 1000)
    await using first = await member('shop', 'orders')
    await using second = await member('shop', 'orders')
    await untilStable('shop', 2)
    await untilRead([first, second], 1000)
    assert.deepEqual(numbersOf([first, second]), numbers(1000), 'each record once')
    const partitionsOf = ({ lines }: KcatProcess) => new Set(lines.map((line) => line.split(' ')[0]))
    await produce('orders', 1000, 2000)
    await untilRead([first, second], 2000)
    assert.deepEqual(
      [partitionsOf(first).size, partitionsOf(second).size].every((size) => size >= 2),
      true,
    )
    await second.kill('SIGKILL')
    const alone = await untilStable('shop', 1)
    assert.equal(alone.members.length, 1)
    await produce('orders', 2000, 3000)
    await until(() => numbersOf([first]).filter((number) => number >= 2000).length === 1000, {
      what: 'the other member to read all',
      timeoutMs: patienceMs,
    })
    await untilRead([first, second], 3000)
  })

  test('a group that comes back goes on where it was', async () => {
    await node.agent.topics.create({ name: 'kept', partitionCount: 2 })
    await produce('kept', 0, 500)
    {
      await using consumer = await member('keeper', 'kept')
      await untilRead([consumer], 500)
      await consumer.kill('SIGTERM')
    }
    await untilGroup('keeper', 'to be empty', ({ state }) => state === 'Empty')
    await produce('kept', 500, 600)
    await using again = await member('keeper', 'kept')
    await untilRead([again], 100)
    assert.deepEqual(numbersOf([again]), numbers(600).slice(500))
    const offsets = await node.agent.groups.committedOffsets('keeper')
    assert.ok(offsets.length === 2 && offsets.every(({ offset }) => offset >= 250))
  })

  test('partitions move one by one where members know how to (cooperative-sticky)', async () => {
    await node.agent.topics.create({ name: 'sticky', partitionCount: 6 })
    await produce('sticky', 0, 600)
    const strategy = ['-X', 'partition.assignment.strategy=cooperative-sticky']
    await using first = await member('sticky-group', 'sticky', ...strategy)
    await untilRead([first], 600)
    await using second = await member('sticky-group', 'sticky', ...strategy)
    await untilStable('sticky-group', 2)
    await until(() => second.messages.some((line) => /incremental assignment of [1-9]/.test(line)), {
      what: 'partitions for the second',
      timeoutMs: patienceMs,
    })
    await produce('sticky', 600, 1200)
    await untilRead([first, second], 1200)
    assert.ok(second.lines.length > 0)
    assert.equal(node.agent.groups.describe('sticky-group')?.protocol, 'cooperative-sticky')
    // Nobody read again what was committed before its partition moved.
    assert.deepEqual(numbersOf([first, second]), numbers(1200))
  })

  test('a static member that comes back in time has its partitions, and nobody else notices', async () => {
    await node.agent.topics.create({ name: 'static', partitionCount: 4 })
    await produce('static', 0, 400)
    const instance = (name: string) =>
      member('static-group', 'static', '-X', `group.instance.id=${name}`, '-X', 'session.timeout.ms=45000')
    await using stays = await instance('a')
    const goes = await instance('b')
    await untilRead([stays, goes], 400)
    const before = await untilStable('static-group', 2)
    await goes.kill('SIGKILL')
    await produce('static', 400, 800)
    await using back = await instance('b')
    await untilRead([stays, goes, back], 800)
    const view = await untilStable('static-group', 2)
    assert.ok(back.lines.length > 0)
    assert.equal(view.generation, before.generation, 'no rebalance')
    assert.deepEqual(new Set(view.members.map(({ instanceId }) => instanceId)), new Set(['a', 'b']))
  })

  test('the second of two members with the same name fences the first', async () => {
    await node.agent.topics.create({ name: 'twins' })
    await using first = await member('twin-group', 'twins', '-X', 'group.instance.id=only')
    await untilStable('twin-group', 1)
    await using second = await member('twin-group', 'twins', '-X', 'group.instance.id=only')
    await first.until(({ messages }) => messages.some((line) => /fenced/i.test(line)), 'the first to be told')
    await produce('twins', 0, 10)
    await untilRead([second], 10)
  })

  test('members without an assignor in common are told so', async () => {
    await node.agent.topics.create({ name: 'mixed' })
    await using _first = await member('mixed-group', 'mixed', '-X', 'partition.assignment.strategy=range')
    await untilStable('mixed-group', 1)
    await using second = await member('mixed-group', 'mixed', '-X', 'partition.assignment.strategy=cooperative-sticky')
    const isTold = ({ messages }: KcatProcess) => messages.some((line) => /inconsistent group protocol/i.test(line))
    await until(() => isTold(second) || second.hasEnded, { what: 'a refusal', timeoutMs: patienceMs })
    assert.ok(isTold(second), second.messages.join('\n'))
  })

  test('a restart of the server is no rebalance for members that come back in time', async () => {
    await node.agent.topics.create({ name: 'restart', partitionCount: 4 })
    await produce('restart', 0, 1000)
    // The session is longer than a restart takes on a busy machine; -E: kcat does not give up when nobody answers.
    const patient = ['-E', '-X', 'session.timeout.ms=30000', '-X', 'reconnect.backoff.max.ms=200']
    await using first = await member('restart-group', 'restart', ...patient)
    await using second = await member('restart-group', 'restart', ...patient)
    const before = await untilStable('restart-group', 2)
    await untilRead([first, second], 1000)
    const readBefore = [first.lines.length, second.lines.length]
    for (let round = 0; round < 3; round++) {
      await node.restart()
      await produce('restart', 1000 * (round + 1), 1000 * (round + 2))
      await untilRead([first, second], 1000 * (round + 2))
    }
    const view = await untilStable('restart-group', 2)
    assert.equal(view.generation, before.generation)
    assert.deepEqual(
      view.members.map(({ memberId }) => memberId).toSorted(),
      before.members.map(({ memberId }) => memberId).toSorted(),
    )
    assert.deepEqual(
      [first, second].every(({ lines }, index) => lines.length > (readBefore[index] ?? 0)),
      true,
    )
    assert.deepEqual(numbersOf([first, second]), numbers(4000), 'each record once')
  })
})

suite('consumer groups, request by request', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open({ logSettings: { groupRebalanceMilliseconds: 0 } })
    await node.agent.topics.create({ name: 'topic', partitionCount: 2 })
  })
  after(() => node[Symbol.asyncDispose]())

  const assignment = Buffer.from('what the leader says')
  const joinOf = (groupId: string, changes: { memberId?: string; groupInstanceId?: string; sessionTimeoutMs?: number } = {}) => ({
    groupId,
    sessionTimeoutMs: changes.sessionTimeoutMs ?? 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: changes.memberId ?? '',
    groupInstanceId: changes.groupInstanceId ?? null,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('topics') }],
  })
  /** Joins as a static member and leads the group alone. */
  const joinAlone = async (client: KafkaTestClient, groupId: string, groupInstanceId: string) => {
    const joined = await client.request('joinGroup', 7, joinOf(groupId, { groupInstanceId }))
    assert.equal(joined.errorCode, 0)
    const { generationId, memberId } = joined
    const synced = await client.request('syncGroup', 5, {
      groupId,
      generationId,
      memberId,
      groupInstanceId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [{ memberId, assignment }],
    })
    assert.equal(synced.errorCode, 0)
    return { generationId, memberId }
  }
  const commitOf = (
    groupId: string,
    member: { generationId: number; memberId: string; groupInstanceId?: string },
    offset: number,
  ) => ({
    groupId,
    generationIdOrMemberEpoch: member.generationId,
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId ?? null,
    topics: [
      {
        name: 'topic',
        partitions: [{ partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: null }],
      },
    ],
  })

  test('a new member is told its id first, and a session that is too short or too long is refused as that', async () => {
    await using client = await KafkaTestClient.connect(node.port)
    const told = await client.request('joinGroup', 5, joinOf('ids'))
    assert.equal(told.errorCode, 79)
    assert.match(told.memberId, /^test-/)
    const joined = await client.request('joinGroup', 5, joinOf('ids', { memberId: told.memberId }))
    assert.deepEqual(
      [joined.errorCode, joined.memberId, joined.leader, joined.generationId],
      [0, told.memberId, told.memberId, 1],
    )
    for (const sessionTimeoutMs of [1, 86_400_000]) {
      const refused = await client.request('joinGroup', 5, joinOf('other', { sessionTimeoutMs }))
      assert.equal(refused.errorCode, 26, `${sessionTimeoutMs} ms`)
    }
    assert.equal((await client.request('joinGroup', 5, joinOf(''))).errorCode, 24)
    assert.equal((await client.request('joinGroup', 5, joinOf('ids', { memberId: 'nobody' }))).errorCode, 25)
  })

  test('a static member has its generation and assignment again at once, over a new connection', async () => {
    await using client = await KafkaTestClient.connect(node.port)
    const before = await joinAlone(client, 'statics', 'one')
    await client[Symbol.asyncDispose]()
    await using again = await KafkaTestClient.connect(node.port)
    const joined = await again.request('joinGroup', 7, joinOf('statics', { groupInstanceId: 'one' }))
    assert.deepEqual([joined.errorCode, joined.generationId], [0, before.generationId])
    const { memberId, generationId } = joined
    assert.notEqual(memberId, before.memberId)
    const member = { groupId: 'statics', generationId, memberId, groupInstanceId: 'one' }
    const synced = await again.request('syncGroup', 5, {
      ...member,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [],
    })
    assert.equal(synced.errorCode, 0)
    assert.deepEqual(synced.assignment, assignment)
    // Whoever still speaks under the old id is out.
    const zombie = { ...member, memberId: before.memberId }
    assert.equal((await again.request('heartbeat', 4, zombie)).errorCode, 82)
    const commit = await again.request('offsetCommit', 8, commitOf('statics', { ...zombie }, 5))
    assert.equal(commit.topics[0]?.partitions[0]?.errorCode, 82)
  })

  test('commits of a generation that is over, of strangers, and to what is not there are refused', async () => {
    await using client = await KafkaTestClient.connect(node.port)
    const member = await joinAlone(client, 'commits', 'one')
    const codeOf = async (...[who, offset]: [{ generationId: number; memberId: string }, number]): Promise<number | undefined> =>
      (await client.request('offsetCommit', 8, commitOf('commits', { ...who, groupInstanceId: 'one' }, offset))).topics[0]
        ?.partitions[0]?.errorCode
    assert.equal(await codeOf(member, 5), 0)
    assert.equal(await codeOf({ ...member, generationId: member.generationId + 1 }, 6), 22)
    assert.equal(await codeOf({ ...member, memberId: 'nobody' }, 7), 82)
    const unknown = await client.request('offsetCommit', 8, {
      ...commitOf('commits', { ...member, groupInstanceId: 'one' }, 5),
      topics: [
        {
          name: 'nowhere',
          partitions: [{ partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: '' }],
        },
      ],
    })
    assert.equal(unknown.topics[0]?.partitions[0]?.errorCode, 3)
    const fetched = await client.request('offsetFetch', 8, {
      groups: [{ groupId: 'commits', topics: [{ name: 'topic', partitionIndexes: [0, 1] }] }],
    })
    assert.deepEqual(
      fetched.groups[0]?.topics[0]?.partitions.map(({ committedOffset }) => committedOffset),
      [5, -1],
    )
  })

  test('a member that is silent for its session is let go', async () => {
    await using client = await KafkaTestClient.connect(node.port)
    const told = await client.request('joinGroup', 5, joinOf('silent', { sessionTimeoutMs: 1000 }))
    await client.request('joinGroup', 5, joinOf('silent', { sessionTimeoutMs: 1000, memberId: told.memberId }))
    // Nothing was committed: there is nothing to keep of it.
    await until(() => !node.agent.groups.describe('silent'), { what: 'the group to be gone', timeoutMs: patienceMs })
    const beat = { groupId: 'silent', generationId: 1, memberId: told.memberId, groupInstanceId: null }
    assert.equal((await client.request('heartbeat', 4, beat)).errorCode, 25)
  })
})
