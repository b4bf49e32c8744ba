import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectCommit } from '#eventlog/metadata/log-metadata.ts'
import { entryMagicBytes } from '#eventlog/wal/wal-format.ts'
import { AppError } from '#lib/errors.ts'
import { Rig } from './rig.ts'

// Each row of the design's failure table, as far as it applies to one node, is a scene. Out of scope for one node: the failover of PostgreSQL (a commit that was
// answered is durable there, or `millrace log rebuild` takes the objects' own indexes), takeover by `reappend` or `discard`, and readers of objects that were merged,
// which nothing does.

const idempotent = (baseSequence: number) => ({ id: 7, epoch: 0, baseSequence })

test('process crash: what was acknowledged is there, a repeat finds its place', async () => {
  await using rig = await Rig.create(1)
  const before = await rig.start()
  await rig.createTopic(before)
  await rig.send(before, 'one', { ack: 'object', producer: idempotent(0) })
  await rig.send(before, 'two', { ack: 'wal', producer: idempotent(1) })
  rig.crash('kill')
  const agent = await rig.start()
  assert.deepEqual(await rig.read(agent), ['one', 'two'])
  for (const [sequence, name] of ['one', 'two'].entries()) {
    const { baseOffset, isDuplicate } = await rig.send(agent, name, { producer: idempotent(sequence) })
    assert.deepEqual([baseOffset, isDuplicate], [sequence, true])
  }
})

for (let seed = 1; seed <= 20; seed++) {
  test(`power loss: synced records survive, the torn end does not pass for records (${seed})`, async () => {
    await using rig = await Rig.create(seed)
    const before = await rig.start()
    await rig.createTopic(before)
    for (const name of ['one', 'two', 'three']) await rig.send(before, name, { valueBytes: 3000 })
    const torn = rig.append(before, 'four', { valueBytes: 3000 })
    torn.catch(() => undefined)
    for (let turn = 0; turn < seed; turn++) await Promise.resolve()
    rig.crash('powerCut')
    const agent = await rig.start()
    const found = await rig.read(agent)
    assert.deepEqual(found.slice(0, 3), ['one', 'two', 'three'])
    assert.ok(found.length === 3 || found[3] === 'four')
  })
}

test('disk loss: what the object store has stays readable, and nobody takes the partition over in silence', async () => {
  await using rig = await Rig.create(3)
  const lost = await rig.start()
  await rig.createTopic(lost)
  await rig.send(lost, 'kept', { ack: 'object' })
  await rig.send(lost, 'lost', { ack: 'wal' })
  rig.crash('kill')
  const other = rig.world.addMachine()
  const agent = await rig.start({}, other)
  assert.deepEqual(await rig.read(agent), ['kept'])
  await rig.refuses('PARTITION_NOT_OWNED', rig.append(agent, 'more'))
})

test('takeover: a partition that is dirty with another write-ahead log waits for that', async () => {
  await using rig = await Rig.create(4)
  const first = await rig.start({ objectMilliseconds: 60_000 })
  await rig.createTopic(first)
  await rig.send(first, 'only on disk')
  rig.crash('powerCut')
  const other = await rig.start({}, rig.world.addMachine())
  await rig.refuses('PARTITION_NOT_OWNED', rig.append(other, 'taken'))
  const again = await rig.start()
  assert.deepEqual(await rig.read(again), ['only on disk'])
})

test('zombie: what a paused agent commits after its partition has gone on elsewhere is refused, and stays in its write-ahead log', async () => {
  await using rig = await Rig.create(5)
  const zombie = await rig.start({ objectMilliseconds: 5000 })
  await rig.createTopic(zombie)
  await rig.send(zombie, 'of both', { ack: 'object' })
  await rig.send(zombie, 'of the zombie')
  const { promise, resolve: resume } = Promise.withResolvers<void>()
  rig.machine.pause = promise
  // What an operator would do who gives the disk of the zombie up.
  await rig.world.database.db.updateTable('partitions').set({ owner: null, dirty_wal: null }).execute()
  const other = await rig.start({}, rig.world.addMachine())
  await rig.send(other, 'of the other', { ack: 'object' })
  rig.machine.pause = undefined
  resume()
  await rig.sleep(10_000)
  await rig.refuses('PARTITION_NOT_OWNED', rig.append(zombie, 'more'))
  assert.equal(zombie.stats.wal?.entryCount, 1)
  assert.deepEqual(await rig.read(other), ['of both', 'of the other'])
  rig.crash('kill')
  const restarted = await rig.start()
  // With what was settled before, whose place in the log is not used again yet: while the other has the partition nobody can tell.
  assert.equal(restarted.stats.wal?.entryCount, 2)
  await rig.refuses('PARTITION_NOT_OWNED', rig.append(restarted, 'more'))
})

test('object store down: acknowledgements of the disk go on up to the limit of the write-ahead log, then all is brought over in order', async () => {
  await using rig = await Rig.create(6)
  const agent = await rig.start({ walMaxBytes: 300_000 })
  await rig.createTopic(agent)
  rig.world.store.failing = 1
  await rig.refuses('TIMEOUT', rig.append(agent, 'waiting', { ack: 'object', timeoutMs: 1000 }))
  const sent = ['waiting']
  for (let count = 0; ; count++) {
    const [outcome] = await Promise.allSettled([rig.send(agent, `${count}`, { valueBytes: 4000 })])
    if (outcome.status === 'rejected') {
      assert.match(String(outcome.reason), /at most 300000 bytes/)
      break
    }
    sent.push(`${count}`)
  }
  assert.ok(sent.length > 40)
  rig.world.store.failing = 0
  await rig.do(agent.flush())
  assert.deepEqual(await rig.read(agent), sent)
  await rig.send(agent, 'room again')
})

test('object store slow and refusing: everything gets there, in order', async () => {
  await using rig = await Rig.create(7)
  const agent = await rig.start({ objectBytes: 5000 })
  await rig.createTopic(agent)
  Object.assign(rig.world.store, { failing: 0.6, latencyMs: 3000 })
  const names = Array.from({ length: 60 }, (_, index) => `${index}`)
  for (const name of names) await rig.send(agent, name, { valueBytes: 1000 })
  await rig.do(agent.flush())
  assert.deepEqual(await rig.read(agent), names)
})

test('a put that timed out and landed is taken for what it is', async () => {
  await using rig = await Rig.create(8)
  const agent = await rig.start()
  await rig.createTopic(agent)
  rig.world.store.losing = 1
  rig.world.onRequest = (name) => {
    if (name === 'head') rig.world.store.losing = 0
  }
  await rig.send(agent, 'one', { ack: 'object' })
  assert.equal(rig.world.objects.size, 1)
})

test('database down: the disk goes on acknowledging, nothing new is made, and readers at the end notice nothing', async () => {
  await using rig = await Rig.create(9)
  const agent = await rig.start()
  await rig.createTopic(agent)
  rig.world.sql.failing = 1
  await rig.send(agent, 'one')
  await rig.refuses('TIMEOUT', rig.append(agent, 'two', { ack: 'object', timeoutMs: 5000 }))
  await rig.refuses('DATABASE_UNAVAILABLE', agent.topics.create({ name: 'other' }))
  assert.deepEqual(await rig.read(agent), ['one', 'two'])
  rig.world.sql.failing = 0
  await rig.do(agent.flush())
  assert.equal(agent.topics.get('events').partition(0).committedEnd, 2)
})

test('ambiguous commit: the answer that was lost is asked for again', async () => {
  await using rig = await Rig.create(10)
  const agent = await rig.start()
  await rig.createTopic(agent)
  let commits = 0
  rig.world.onRequest = (name, when) => {
    if (name !== 'commitObject' || when !== 'after') return
    commits += 1
    rig.world.sql.losing = commits === 1 ? 1 : 0
  }
  await rig.send(agent, 'one', { ack: 'object' })
  assert.equal(commits, 2)
  const extents = await rig.world.database.db.selectFrom('extents').selectAll().execute()
  assert.equal(extents.length, 1)
})

test('crash between put and commit: the records go again under another id, and the orphan is collected', async () => {
  await using rig = await Rig.create(11)
  const before = await rig.start()
  await rig.createTopic(before)
  rig.crashAt('commitObject', 'before')
  rig.append(before, 'one', { ack: 'object' }).catch(() => undefined)
  await rig.ended()
  const agent = await rig.start()
  await rig.do(agent.flush())
  assert.deepEqual(await rig.read(agent), ['one'])
  assert.equal(rig.world.objects.size, 2)
  for (const hours of [25, 1]) {
    rig.world.time.jump(hours * 3_600_000)
    await rig.sleep(180_000)
  }
  assert.equal(rig.world.objects.size, 1)
  assert.deepEqual(await rig.read(agent), ['one'])
})

test('crash between commit and acknowledgement: a repeat gets the offset of the first time', async () => {
  await using rig = await Rig.create(12)
  const before = await rig.start()
  await rig.createTopic(before)
  await rig.send(before, 'zero')
  rig.crashAt('commitObject', 'after')
  rig.append(before, 'one', { ack: 'object', producer: idempotent(0) }).catch(() => undefined)
  await rig.ended()
  const agent = await rig.start()
  const { baseOffset, isDuplicate } = await rig.send(agent, 'one', { ack: 'object', producer: idempotent(0) })
  assert.deepEqual([baseOffset, isDuplicate], [1, true])
})

test('crash after commit, before the write-ahead log is trimmed: nothing comes twice', async () => {
  await using rig = await Rig.create(13)
  const before = await rig.start()
  await rig.createTopic(before)
  for (const name of ['one', 'two']) await rig.send(before, name)
  rig.crashAt('commitObject', 'after', 'powerCut')
  await rig.ended()
  const agent = await rig.start()
  assert.equal(agent.stats.waitingBatches, 0)
  assert.deepEqual(await rig.read(agent), ['one', 'two'])
})

test('a commit of a process that has ended arrives late, when the next one is at work: it is refused', async () => {
  await using rig = await Rig.create(23)
  const before = await rig.start()
  await rig.createTopic(before)
  const { metadata } = rig.world
  const commitObject = metadata.commitObject.bind(metadata)
  const sent = Promise.withResolvers<ObjectCommit>()
  metadata.commitObject = async (commit) => {
    sent.resolve(commit)
    rig.crash('kill')
    throw new AppError('DATABASE_UNAVAILABLE', 'it is on its way')
  }
  await rig.send(before, 'one')
  const late = await rig.do(sent.promise)
  metadata.commitObject = commitObject
  const agent = await rig.start({ objectMilliseconds: 60_000 })
  assert.deepEqual(await rig.do(commitObject(late)), { kind: 'committed', runs: ['fenced'] })
  await rig.do(agent.flush())
  assert.deepEqual(await rig.read(agent), ['one'])
})

test('bit rot in the write-ahead log: its partition takes no more, what is committed stays readable, and other partitions go on', async () => {
  await using rig = await Rig.create(14)
  const before = await rig.start({ objectMilliseconds: 60_000 })
  await rig.createTopic(before)
  await rig.createTopic(before, {}, 'other')
  await rig.send(before, 'committed', { ack: 'object' })
  for (const name of ['rotten', 'behind']) await rig.send(before, name)
  await rig.send(before, 'fine', { topic: 'other' })
  rig.crash('kill')
  const { disk } = rig.machine
  const path = disk.paths.find((one) => one.endsWith('.wal') && disk.contentOf(one).includes('rotten'))
  assert.ok(path)
  disk.corrupt(path, disk.contentOf(path).indexOf('rotten'))
  const agent = await rig.start()
  assert.deepEqual(await rig.read(agent), ['committed'])
  assert.deepEqual(await rig.read(agent, 'other'), ['fine'])
  await rig.refuses('LOG_DAMAGED', rig.append(agent, 'more'))
  await rig.send(agent, 'more', { topic: 'other' })
  assert.ok(disk.paths.some((one) => one.endsWith('.damaged')))
})

test('bit rot in a header of the write-ahead log: whose it was nobody knows, so only partitions that go on behind it take more', async () => {
  await using rig = await Rig.create(24)
  const before = await rig.start({ objectMilliseconds: 60_000 })
  await rig.createTopic(before)
  await rig.createTopic(before, {}, 'other')
  await rig.send(before, 'rotten')
  await rig.send(before, 'fine', { topic: 'other' })
  rig.crash('kill')
  const { disk } = rig.machine
  const path = disk.paths.find((one) => one.endsWith('.wal') && disk.contentOf(one).includes('rotten'))
  assert.ok(path)
  const bytes = disk.contentOf(path)
  disk.corrupt(path, bytes.lastIndexOf(entryMagicBytes, bytes.indexOf('rotten')))
  const agent = await rig.start()
  await rig.refuses('LOG_DAMAGED', rig.append(agent, 'more'))
  await rig.send(agent, 'more', { topic: 'other' })
  assert.deepEqual(await rig.read(agent, 'other'), ['fine', 'more'])
})

test('bit rot in an object: it is said, and nothing is passed over', async () => {
  await using rig = await Rig.create(15)
  const agent = await rig.start({ cacheBytes: 0 })
  await rig.createTopic(agent)
  await rig.send(agent, 'one', { ack: 'object' })
  const [bytes] = rig.world.objects.values()
  assert.ok(bytes)
  bytes[70] = (bytes[70] ?? 0) ^ 1
  await assert.rejects(rig.read(agent), { code: 'LOG_DAMAGED' })
})

test('disk full: producers are refused, and taken again when there is room, without a restart', async () => {
  await using rig = await Rig.create(16)
  const agent = await rig.start()
  await rig.createTopic(agent)
  await rig.send(agent, 'before', { producer: idempotent(0) })
  rig.machine.disk.capacityBytes = rig.machine.disk.usedBytes + 100
  const refused = ['one', 'two', 'three'].map((name, index) =>
    rig.append(agent, name, { valueBytes: 9000, producer: idempotent(1 + index) }),
  )
  const outcomes = await rig.do(Promise.allSettled(refused))
  for (const outcome of outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'LOG_FULL')
  rig.machine.disk.capacityBytes = Infinity
  await rig.refuses('LOG_FULL', rig.append(agent, 'asks the disk', { producer: idempotent(1), valueBytes: 9000 }))
  await rig.sleep(100)
  for (const [index, name] of ['one', 'two', 'three'].entries())
    await rig.send(agent, name, { valueBytes: 9000, producer: idempotent(1 + index) })
  assert.deepEqual(await rig.read(agent), ['before', 'one', 'two', 'three'])
})

test('a sync that fails is final: nothing more is acknowledged until another start', async () => {
  await using rig = await Rig.create(17)
  const before = await rig.start()
  await rig.createTopic(before)
  await rig.send(before, 'one')
  rig.machine.disk.fail({ operation: 'sync', code: 'EIO' })
  await rig.refuses('LOG_UNAVAILABLE', rig.append(before, 'two'))
  await rig.refuses('LOG_UNAVAILABLE', rig.append(before, 'three'))
  assert.ok(before.fault)
  await rig.do(before[Symbol.asyncDispose]()).catch(() => undefined)
  rig.crash('kill')
  const agent = await rig.start()
  assert.equal((await rig.read(agent))[0], 'one')
  await rig.send(agent, 'four')
})

test('clock jumps: nothing is lost, whichever way', async () => {
  await using rig = await Rig.create(18)
  const agent = await rig.start()
  await rig.createTopic(agent, { timestampType: 'LogAppendTime' })
  for (const [index, days] of [0, 3, -10, 5].entries()) {
    rig.world.time.jump(days * 86_400_000)
    await rig.send(agent, `${index}`, { ack: index % 2 === 0 ? 'object' : 'wal' })
    await rig.sleep(70_000)
  }
  assert.deepEqual(await rig.read(agent), ['0', '1', '2', '3'])
})

test('collector against a slow commit: the object is given up, the records go again in another', async () => {
  await using rig = await Rig.create(19)
  const agent = await rig.start()
  await rig.createTopic(agent)
  rig.world.onRequest = (name, when) => {
    if (name !== 'commitObject' || when !== 'before') return
    rig.world.onRequest = () => undefined
    rig.world.time.jump(25 * 3_600_000)
    void rig.world.metadata.abandonObjects({
      reservedBeforeMs: rig.world.time.nowMs() - 86_400_000,
      nowMs: rig.world.time.nowMs(),
      limit: 1000,
    })
    rig.machine.pause = rig.world.time.sleep(1000)
  }
  await rig.send(agent, 'one', { ack: 'object' })
  assert.equal(rig.world.objects.size, 2)
  assert.deepEqual(await rig.read(agent), ['one'])
})

test('a reader of deleted records: the object stays for a while', async () => {
  await using rig = await Rig.create(20)
  const agent = await rig.start()
  await rig.createTopic(agent)
  for (const name of ['one', 'two']) await rig.send(agent, name, { ack: 'object' })
  const { id } = agent.topics.get('events').partition(0)
  rig.world.model.partition(id).deletableEnd = 1
  await rig.do(agent.deleteRecords({ topic: 'events', partition: 0 }, 1))
  await rig.sleep(9 * 60_000)
  assert.equal(rig.world.objects.size, 2)
  await rig.sleep(3 * 60_000)
  assert.equal(rig.world.objects.size, 1)
  assert.deepEqual(await rig.read(agent), ['two'])
})

test('two agents with one write-ahead log: the second does not start', async () => {
  await using rig = await Rig.create(21)
  const agent = await rig.start()
  await rig.createTopic(agent)
  await rig.refuses('LOG_UNAVAILABLE', rig.world.open(rig.machine))
  await rig.send(agent, 'one')
})

test('a stop while the object store is away keeps the partitions, and the next start brings the records over', async () => {
  await using rig = await Rig.create(22)
  const before = await rig.start()
  await rig.createTopic(before)
  rig.world.store.failing = 1
  await rig.send(before, 'one')
  await rig.do(before[Symbol.asyncDispose]())
  const row = await rig.world.database.db.selectFrom('partitions').selectAll().executeTakeFirstOrThrow()
  assert.equal(row.owner, before.agentId)
  rig.world.store.failing = 0
  const agent = await rig.start()
  await rig.do(agent.flush())
  assert.deepEqual(await rig.read(agent), ['one'])
  await rig.do(agent[Symbol.asyncDispose]())
  const released = await rig.world.database.db.selectFrom('partitions').selectAll().executeTakeFirstOrThrow()
  assert.deepEqual([released.owner, released.dirty_wal], [null, null])
})
