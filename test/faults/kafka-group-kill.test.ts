import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaWire } from '../support/kafka-wire.ts'
import { kcat, KcatProcess } from '../support/kcat.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'
import { ServerProcess } from './log-server.ts'

const kills = 3
const recordsPerRound = 200
const partitions = 4
const groupId = 'survivors'
const topic = 'numbered'
const patienceMs = 60_000

test('a server that is killed and started again has its groups: no rebalance, and offsets go on', async () => {
  await using directory = await temporaryDirectory()
  await using server = new ServerProcess(directory.path)
  await server.start()
  await createTopic(server.port)
  // -E: kcat does not give up when nobody answers. The session is longer than a start on a busy machine.
  const settings = [
    'session.timeout.ms=45000',
    'heartbeat.interval.ms=300',
    'auto.commit.interval.ms=200',
    'auto.offset.reset=earliest',
  ]
  const backoff = ['reconnect.backoff.ms=10', 'reconnect.backoff.max.ms=200']
  const args = [
    '-E',
    '-u',
    '-f',
    '%s\\n',
    ...[...settings, ...backoff].flatMap((setting) => ['-X', setting]),
    '-G',
    groupId,
    topic,
  ]
  await using first = await KcatProcess.start(server, args)
  await using second = await KcatProcess.start(server, args)
  const readers = [first, second]
  const rebalances = (): number =>
    readers.flatMap(({ messages }) => messages).filter((line) => line.includes('rebalanced')).length
  const before = await untilStable(server.port)
  await produce(server, 0)
  await untilRead(readers, recordsPerRound)
  const rebalancesBefore = rebalances()
  for (let round = 1; round <= kills; round++) {
    await server.kill()
    await server.start()
    await produce(server, round)
    await untilRead(readers, recordsPerRound * (round + 1))
  }
  assert.deepEqual(await untilStable(server.port), before, 'the same members')
  assert.equal(rebalances(), rebalancesBefore)
  assert.ok(readers.every(({ lines }) => lines.length > 0))
  const total = recordsPerRound * (kills + 1)
  assert.deepEqual(
    numbersOf(readers),
    Array.from({ length: total }, (_, index) => index),
    'each record once',
  )
  await until(async () => (await committedTotal(server.port)) === total, {
    what: 'all offsets to be committed',
    timeoutMs: patienceMs,
  })
})

async function createTopic(port: number): Promise<void> {
  await using wire = await KafkaWire.connect(port)
  const asked = { name: topic, numPartitions: partitions, replicationFactor: -1, assignments: [], configs: [] }
  const { topics } = await wire.request('createTopics', 7, { topics: [asked], timeoutMs: patienceMs, validateOnly: false })
  assert.equal(topics[0]?.errorCode, 0)
}

/** The numbers of this round, in turn over the partitions. */
async function produce(server: ServerProcess, round: number): Promise<void> {
  const numbers = Array.from({ length: recordsPerRound }, (_, index) => round * recordsPerRound + index)
  for (let partition = 0; partition < partitions; partition++) {
    const mine = numbers.filter((number) => number % partitions === partition)
    await kcat(server, ['-P', '-t', topic, '-p', String(partition)], mine.join('\n'))
  }
}

function numbersOf(readers: readonly KcatProcess[]): number[] {
  return readers.flatMap(({ lines }) => lines.map(Number)).toSorted((a, b) => a - b)
}

async function untilRead(readers: readonly KcatProcess[], count: number): Promise<void> {
  const seen = (): number => new Set(numbersOf(readers)).size
  await until(() => seen() >= count, { what: `${count} records to be read`, timeoutMs: patienceMs })
}

/** The ids of the two members, once they share the partitions. */
async function untilStable(port: number): Promise<ReadonlySet<string>> {
  await using wire = await KafkaWire.connect(port)
  return await until(
    async () => {
      const { groups } = await wire.request('describeGroups', 5, { groups: [groupId], includeAuthorizedOperations: false })
      const [group] = groups
      if (group?.groupState !== 'Stable' || group.members.length !== 2) return undefined
      return new Set(group.members.map(({ memberId }) => memberId))
    },
    { what: 'the group to be stable', timeoutMs: patienceMs },
  )
}

async function committedTotal(port: number): Promise<number> {
  await using wire = await KafkaWire.connect(port)
  const { groups } = await wire.request('offsetFetch', 8, { groups: [{ groupId, topics: null }] })
  const offsets = groups[0]?.topics.flatMap((one) => one.partitions.map(({ committedOffset }) => committedOffset)) ?? []
  return offsets.reduce((sum, offset) => sum + offset, 0)
}
