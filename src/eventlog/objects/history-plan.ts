import { chooseChain } from './history-chain.ts'
import type { Survey, SurveyedRun } from './history-survey.ts'

/** What a bucket tells of the log that wrote it: the history to be stored, and what does not fit into it. */
export type HistoryPlan = {
  readonly topics: readonly PlannedTopic[]
  /** Runs that are part of the history, each with the id of its partition. */
  readonly partitionOf: ReadonlyMap<SurveyedRun, number>
  readonly findings: readonly RebuildFinding[]
}
export type PlannedTopic = {
  readonly id: string
  readonly name: string
  readonly createdAtMs: number
  readonly partitions: readonly PlannedPartition[]
}
export type PlannedPartition = {
  readonly partitionId: number
  readonly index: number
  readonly epoch: number
  readonly logStart: number
  readonly nextOffset: number
  readonly sizeBytes: number
}

type RunFinding = {
  readonly topic: string
  readonly partition: number
  readonly objectKey: string
  readonly epoch: number
  readonly baseOffset: number
  readonly lastOffset: number
}
export type RebuildFinding =
  /** The index of an object cannot be read: what is in it is missing, unless another object has it. */
  | { readonly kind: 'unreadable'; readonly objectKey: string; readonly message: string }
  /** No object has these offsets, up to `toOffset` exclusive. */
  | {
      readonly kind: 'gap'
      readonly topic: string
      readonly partition: number
      readonly fromOffset: number
      readonly toOffset: number
    }
  /** Left out: a run of an owner that had been replaced. */
  | ({ readonly kind: 'superseded' } & RunFinding)
  /** Left out: a run whose offsets others cover. */
  | ({ readonly kind: 'overlap' } & RunFinding)
  /** Nothing in this object is part of the history. */
  | { readonly kind: 'orphan'; readonly objectKey: string }
  /** Left out: a topic that was deleted and made again under the same name. */
  | { readonly kind: 'replaced-topic'; readonly topic: string; readonly topicId: string }

/** All that is known of one topic. */
type TopicRuns = {
  readonly id: string
  readonly name: string
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly runs: readonly SurveyedRun[]
}

/** Sorts the runs of a bucket into topics and partitions, and those of each partition into its history. */
export function planHistory({ objects, unreadable }: Survey): HistoryPlan {
  const runs = objects.flatMap((object) => object.runs)
  const ids = new PartitionIds(runs)
  const partitionOf = new Map<SurveyedRun, number>()
  const findings: RebuildFinding[] = unreadable.map((object) => ({ kind: 'unreadable', ...object }))
  const topics: PlannedTopic[] = []
  const names = new Set<string>()
  // The youngest topic of a name is the one that was there in the end; the same goes for ids of partitions.
  for (const topic of topicsOf(runs).toSorted((one, other) => other.lastSeenMs - one.lastSeenMs)) {
    const { id, name, firstSeenMs: createdAtMs } = topic
    if (names.has(name)) {
      findings.push({ kind: 'replaced-topic', topic: name, topicId: id })
      continue
    }
    names.add(name)
    topics.push({ id, name, createdAtMs, partitions: planPartitions(topic, { ids, partitionOf, findings }) })
  }
  for (const { key, runs: ofObject } of objects) {
    if (!ofObject.some((run) => partitionOf.has(run))) findings.push({ kind: 'orphan', objectKey: key })
  }
  return { topics, partitionOf, findings }
}

function topicsOf(runs: readonly SurveyedRun[]): TopicRuns[] {
  return [...Map.groupBy(runs, ({ topicId }) => topicId)].map(([id, ofTopic]) => {
    let [firstSeenMs, lastSeenMs] = [Infinity, -Infinity]
    for (const { modifiedAtMs } of ofTopic) {
      firstSeenMs = Math.min(firstSeenMs, modifiedAtMs)
      lastSeenMs = Math.max(lastSeenMs, modifiedAtMs)
    }
    return { id, name: ofTopic[0]?.topicName ?? '', firstSeenMs, lastSeenMs, runs: ofTopic }
  })
}

type Planning = {
  readonly ids: PartitionIds
  readonly partitionOf: Map<SurveyedRun, number>
  readonly findings: RebuildFinding[]
}

/** Partitions without a record are made too, so that the number of partitions is right up to the last one with a record. */
function planPartitions({ name, runs }: TopicRuns, { ids, partitionOf, findings }: Planning): PlannedPartition[] {
  const byIndex = Map.groupBy(runs, ({ partition }) => partition)
  const count = [...byIndex.keys()].reduce((most, index) => Math.max(most, index + 1), 0)
  return Array.from({ length: count }, (_, index) => {
    const ofPartition = byIndex.get(index) ?? []
    const partitionId = ids.take(ofPartition[0]?.partitionId)
    const { kept, superseded, overlapping, gaps } = chooseChain(ofPartition)
    for (const run of kept) partitionOf.set(run, partitionId)
    const place = { topic: name, partition: index }
    for (const run of superseded) findings.push({ kind: 'superseded', ...place, ...rangeOf(run) })
    for (const run of overlapping) findings.push({ kind: 'overlap', ...place, ...rangeOf(run) })
    for (const gap of gaps) findings.push({ kind: 'gap', ...place, ...gap })
    return {
      partitionId,
      index,
      epoch: ofPartition.reduce((highest, run) => Math.max(highest, run.epoch), 0),
      logStart: kept.at(0)?.baseOffset ?? 0,
      nextOffset: (kept.at(-1)?.lastOffset ?? -1) + 1,
      sizeBytes: kept.reduce((sum, run) => sum + run.lengthBytes, 0),
    }
  })
}

function rangeOf({ objectKey, epoch, baseOffset, lastOffset }: SurveyedRun): Omit<RunFinding, 'topic' | 'partition'> {
  return { objectKey, epoch, baseOffset, lastOffset }
}

/** Partitions keep their ids, because a write-ahead log names them so; new ones are above all that were ever seen. */
class PartitionIds {
  readonly #taken = new Set<number>()
  #next: number

  constructor(runs: readonly SurveyedRun[]) {
    this.#next = runs.reduce((highest, { partitionId }) => Math.max(highest, partitionId), 0) + 1
  }

  take(wanted: number | undefined): number {
    const id = wanted === undefined || this.#taken.has(wanted) ? this.#next++ : wanted
    this.#taken.add(id)
    return id
  }
}
