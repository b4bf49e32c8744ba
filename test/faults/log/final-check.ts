import type { LogAgent } from '#eventlog/agent.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { decodeBatch, type LogRecord } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import { nameOf } from './batches.ts'
import { Violation, type PartitionModel } from './model.ts'
import type { Scenario } from './scenario.ts'
import type { World } from './world.ts'

type Ref = { readonly topic: string; readonly partition: number }
type Contents = { readonly batches: readonly Buffer[]; readonly records: readonly LogRecord[]; readonly highWatermark: number }
/** `isCut`: the log says that records behind the last one were damaged. */
type Found = Contents & { readonly isCut: boolean }

/** Everything works again, and every producer has its acknowledgements: what is kept must be what they were told, before and after another start. */
export async function checkAll(scenario: Scenario): Promise<void> {
  const { world } = scenario
  const before = await readEverything(scenario, { isFlushed: false })
  await flush(scenario)
  await restart(scenario)
  const after = await readEverything(scenario, { isFlushed: true })
  for (const [id, { batches }] of before) checkSame(id, batches, after.get(id))
  if (world.isDamaged) return
  await checkExtents(scenario)
  await checkCollected(scenario)
}

function requireAgent(scenario: Scenario): LogAgent {
  const agent = scenario.running?.agent
  if (agent) return agent
  throw new Violation('no log is running')
}

async function readEverything(scenario: Scenario, { isFlushed }: { isFlushed: boolean }): Promise<ReadonlyMap<number, Found>> {
  const agent = requireAgent(scenario)
  const found = new Map<number, Found>()
  for (const { name, partitions } of agent.topics.list()) {
    for (const { id, index, fault } of partitions) {
      const model = scenario.world.model.partition(id)
      if (fault && !scenario.world.isDamaged) throw new Violation(`${name}/${index} refuses producers: ${fault.message}`)
      const contents = await readPartition(scenario, { agent, ref: { topic: name, partition: index }, model })
      if (!contents) continue
      found.set(id, { ...contents, isCut: fault?.code === 'LOG_DAMAGED' })
      if (scenario.world.isDamaged) continue
      checkAcknowledged(model, contents, isFlushed)
      checkSequences(model, contents)
      await checkTimes(agent, { topic: name, partition: index }, contents)
    }
  }
  return found
}

/** Undefined when the log says that something there is damaged. */
async function readPartition(
  { world }: Scenario,
  { agent, ref, model }: { agent: LogAgent; ref: Ref; model: PartitionModel },
): Promise<Contents | undefined> {
  const { logStart, highWatermark } = agent.topics.get(ref.topic).partition(ref.partition)
  const batches: Buffer[] = []
  for (let offset = logStart; offset < highWatermark;) {
    const partitions = [{ ...ref, offset, maxBytes: 1_000_000 }]
    const fetch = () => agent.fetch({ partitions, maxBytes: 1_000_000, minBytes: 0, maxWaitMs: 0 })
    let [fetched] = await fetch()
    // It may share a load that began while the store was still cutting what it sent.
    if (fetched?.error?.code === 'OBJECTS_UNAVAILABLE') [fetched] = await fetch()
    if (fetched?.error?.code === 'LOG_DAMAGED' && world.isDamaged) return undefined
    if (fetched?.error) throw fetched.error
    if (!fetched || fetched.batches.length === 0)
      throw new Violation(`nothing is read at ${offset} of ${ref.topic}/${ref.partition}`)
    offset = world.model.shown(model, offset, fetched)
    batches.push(...fetched.batches)
  }
  const records = batches.flatMap((batch) => decodeBatch(batch)).filter(({ offset }) => offset >= logStart)
  return { batches, records, highWatermark }
}

/** What was acknowledged or shown is there. */
function checkAcknowledged(model: PartitionModel, { records, highWatermark }: Contents, isFlushed: boolean): void {
  const offsets = new Set(records.map(({ offset }) => offset))
  for (const [offset, name] of model.contents) {
    // What only the disk has is not shown where consumers wait for the object store.
    const isShown = offset < highWatermark || isFlushed
    if (!isShown || offset < model.logStart || offsets.has(offset)) continue
    throw new Violation(`offset ${offset} of partition ${model.id}, of ${name}, was acknowledged or shown, and is lost`)
  }
}

/** Batches of an idempotent producer are there once, in the order in which they were sent, without a hole. */
function checkSequences(model: PartitionModel, { batches }: Contents): void {
  const next = new Map<number, { epoch: number; sequence: number }>()
  for (const batch of batches) {
    const { producerId, producerEpoch, baseSequence, recordCount, baseOffset } = readBatchHeader(batch)
    if (producerId < 0) continue
    const expected = next.get(producerId)
    const isNext = !expected || (expected.epoch === producerEpoch ? expected.sequence === baseSequence : baseSequence === 0)
    if (!isNext) {
      throw new Violation(
        `I11: ${nameOf(batch)} at ${baseOffset} of partition ${model.id} has sequence ${baseSequence}, ${expected.sequence} comes next`,
      )
    }
    next.set(producerId, { epoch: producerEpoch, sequence: baseSequence + recordCount })
  }
}

/** The first record of a time or later is found. */
async function checkTimes(agent: LogAgent, ref: Ref, { records }: Contents): Promise<void> {
  const [first, last] = [records[0], records.at(-1)]
  if (!first || !last) return
  for (const part of [0.2, 0.9]) {
    const timestampMs = Math.floor(first.timestampMs + part * (last.timestampMs - first.timestampMs))
    const expected = records.find((record) => record.timestampMs >= timestampMs)
    const found = await agent.findOffset(ref, timestampMs)
    if (found.offset === (expected?.offset ?? -1)) continue
    throw new Violation(
      `the first record of ${ref.topic}/${ref.partition} from ${timestampMs} on is ${expected?.offset}, found ${found.offset}`,
    )
  }
}

async function flush(scenario: Scenario): Promise<void> {
  const agent = requireAgent(scenario)
  await agent.flush()
  const { wal, committer, waitingBatches, waitingMemoryBytes } = agent.stats
  if (scenario.world.isDamaged) return
  const left = { entries: wal?.entryCount, objects: committer.waitingObjects, waitingBatches, waitingMemoryBytes }
  if (Object.values(left).some((count) => count !== 0)) throw new Violation(`after a flush are left ${JSON.stringify(left)}`)
}

async function restart(scenario: Scenario): Promise<void> {
  const { world, supervisor } = scenario
  const earlier = scenario.running
  if (!world.isDamaged) supervisor.expectOrder()
  supervisor.restart()
  while (!scenario.running || scenario.running === earlier) await world.time.sleep(5)
}

/** A log that was stopped in order, with nothing in its way, owns nothing any more. */
export async function checkGivenBack(world: World): Promise<void> {
  const rows = await world.database.db.selectFrom('partitions').selectAll().execute()
  const kept = rows.find(({ owner, dirty_wal }) => owner !== null || dirty_wal !== null)
  if (kept) throw new Violation(`partition ${kept.id} was not given back`)
}

/** What was read is still there, and what was deleted or has become visible since is at its ends. */
function checkSame(id: number, before: readonly Buffer[], after: Found | undefined): void {
  if (after === undefined) return
  const known = new Map(after.batches.map((batch) => [readBatchHeader(batch).baseOffset, batch]))
  const first = after.batches[0] ? readBatchHeader(after.batches[0]).baseOffset : Infinity
  const end = after.isCut ? after.highWatermark : Infinity
  for (const batch of before) {
    const { baseOffset } = readBatchHeader(batch)
    const isSameNow = baseOffset < first || baseOffset >= end || known.get(baseOffset)?.equals(batch)
    if (!isSameNow) throw new Violation(`I16: partition ${id} reads otherwise than before at ${baseOffset}`)
  }
}

/** Extents follow each other without a hole, from the log start or before it to the end (I3). */
async function checkExtents({ world }: Scenario): Promise<void> {
  const { db } = world.database
  for (const partition of await db.selectFrom('partitions').selectAll().execute()) {
    const extents = await db
      .selectFrom('extents')
      .selectAll()
      .where('partition_id', '=', partition.id)
      .orderBy('base_offset')
      .execute()
    let next = Math.min(partition.log_start, extents[0]?.base_offset ?? partition.log_start)
    for (const { base_offset, last_offset } of extents) {
      if (base_offset !== next)
        throw new Violation(`I3: an extent of partition ${partition.id} begins at ${base_offset}, ${next} comes next`)
      next = last_offset + 1
    }
    if (next !== partition.next_offset)
      throw new Violation(`I3: extents of partition ${partition.id} end at ${next}, it ends at ${partition.next_offset}`)
    const sizeBytes = extents.reduce((sum, { length_bytes }) => sum + length_bytes, 0)
    if (sizeBytes !== partition.size_bytes)
      throw new Violation(`partition ${partition.id} has ${sizeBytes} bytes, its row says ${partition.size_bytes}`)
  }
}

/** A day later only objects that something refers to are left. */
async function checkCollected({ world }: Scenario): Promise<void> {
  world.time.jump(80 * 3_600_000)
  await world.time.sleep(3 * 60_000)
  world.time.jump(80 * 3_600_000)
  await world.time.sleep(3 * 60_000)
  const rows = await world.database.db.selectFrom('log_objects').select('object_key').where('state', '=', 'committed').execute()
  const keys = new Set(rows.map(({ object_key }) => object_key))
  const missing = [...keys].find((key) => !world.objects.has(key))
  if (missing !== undefined) throw new AppError('INTERNAL', `object ${missing} is committed and not there`)
  const stray = [...world.objects.keys()].filter((key) => !keys.has(key))
  if (stray.length > 0) throw new Violation(`${stray.length} objects are left that nothing refers to, ${stray[0]}`)
}
