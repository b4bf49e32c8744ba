import type { ObjectStore } from '#store/objects/object-store.ts'
import type { ProducerRow, RunRow } from '../metadata/log-metadata.ts'
import type { TopicConfig } from '../topic-config.ts'
import { eachOf } from './each-of.ts'
import { planHistory, type HistoryPlan, type PlannedTopic, type RebuildFinding } from './history-plan.ts'
import { indexReadsAtOnce, surveyObjects, type Survey, type SurveyedObject } from './history-survey.ts'
import { loadObjectIndex } from './load-object-index.ts'
import type { IndexedRun } from './object-index.ts'
import { ProducerHistory } from './producer-history.ts'

/** Where a history goes that was found in the object store. */
export interface HistoryImport {
  /** Throws `LOG_NOT_EMPTY` when the database has topics or objects of the log already. */
  requireEmpty(): Promise<void>
  /** Runs `write` in one transaction, of which nothing stays when it throws. Throws `LOG_NOT_EMPTY`. */
  importHistory(write: (history: HistoryWriter) => Promise<void>): Promise<void>
}

/** Takes a history in this order: topics, then objects, then producers. */
export interface HistoryWriter {
  /** Partitions belong to nobody and are clean; their offset ceiling is their end. */
  addTopic(topic: PlannedTopic & { readonly config: TopicConfig }): Promise<void>
  addObjects(objects: readonly HistoricObject[]): Promise<void>
  /** `nextProducerId`: it and those above belong to nobody yet. */
  addProducers(producers: readonly ProducerRow[], nextProducerId: number): Promise<void>
}

/** An object with those of its runs that are part of the history, at least one. */
export type HistoricObject = {
  readonly id: string
  readonly key: string
  readonly sizeBytes: number
  readonly committedAtMs: number
  readonly runs: readonly RunRow[]
}

export type RebuildProgress = { readonly step: 'survey' | 'import'; readonly objects: number }

export type RebuildReport = {
  readonly topics: number
  readonly partitions: number
  readonly objects: number
  readonly extents: number
  readonly sizeBytes: number
  readonly producers: number
  readonly findings: readonly RebuildFinding[]
}

type Options = {
  readonly objects: ObjectStore
  readonly history: HistoryImport
  /** Of all topics: objects do not tell it. One that keeps everything, or records older than it says are deleted soon after. */
  readonly config: TopicConfig
  readonly onProgress?: (progress: RebuildProgress) => void
  readonly signal?: AbortSignal
}

/** Objects that are handed to the database at once. */
const objectsPerWrite = 100

/**
 * Builds the database of the log again from nothing but the objects: topics, partitions, where records are, what idempotent producers sent last. What no object
 * tells is lost: topics and partitions without records, settings of topics, log starts, consumer groups, access rules. Records of deleted topics, and those that
 * retention had deleted, come back as far as they lie in objects that others still needed.
 *
 * Nobody may write to the log meanwhile. Throws `LOG_NOT_EMPTY`, `OBJECTS_UNAVAILABLE`, `DATABASE_UNAVAILABLE` and the reason of `signal`; nothing is stored then.
 */
export async function rebuildMetadata({ objects, history, config, onProgress, signal }: Options): Promise<RebuildReport> {
  await history.requireEmpty()
  const survey = await surveyObjects({ objects, signal, onObject: (count) => onProgress?.({ step: 'survey', objects: count }) })
  const plan = planHistory(survey)
  const producers = new ProducerHistory()
  await history.importHistory(async (into) => {
    for (const topic of plan.topics) await into.addTopic({ ...topic, config })
    await importObjects({ objects, survey, plan, producers, into, onProgress, signal })
    await into.addProducers(producers.rows(), survey.lastProducerId + 1)
  })
  return reportOf(survey, plan, producers)
}

type Importing = Pick<Options, 'objects'> & {
  readonly survey: Survey
  readonly plan: HistoryPlan
  readonly producers: ProducerHistory
  readonly into: HistoryWriter
  readonly onProgress: Options['onProgress']
  readonly signal: AbortSignal | undefined
}

/** Reads the indexes a second time, because all of them at once may be more than memory holds. */
async function importObjects({ objects, survey, plan, producers, into, onProgress, signal }: Importing): Promise<void> {
  const wanted = survey.objects.filter(({ runs }) => runs.some((run) => plan.partitionOf.has(run)))
  for (let at = 0; at < wanted.length; at += objectsPerWrite) {
    const page = wanted.slice(at, at + objectsPerWrite)
    const read: HistoricObject[] = []
    await eachOf(page, indexReadsAtOnce, async (object) => {
      const { key, sizeBytes } = object
      const index = await loadObjectIndex(objects, { key, sizeBytes, signal })
      const runs = keptRuns(object, index.runs, plan)
      for (const run of runs) producers.add(run, object.modifiedAtMs)
      read.push({ id: object.id, key, sizeBytes, committedAtMs: object.modifiedAtMs, runs: runs.map(({ row }) => row) })
    })
    await into.addObjects(read)
    onProgress?.({ step: 'import', objects: at + page.length })
  }
}

function keptRuns(object: SurveyedObject, indexed: readonly IndexedRun[], { partitionOf }: HistoryPlan): IndexedRun[] {
  return indexed.flatMap((run, at) => {
    const outline = object.runs[at]
    const partitionId = outline && partitionOf.get(outline)
    return partitionId === undefined ? [] : [{ ...run, row: { ...run.row, partitionId } }]
  })
}

function reportOf(
  { objects }: Survey,
  { topics, partitionOf, findings }: HistoryPlan,
  producers: ProducerHistory,
): RebuildReport {
  const partitions = topics.flatMap((topic) => topic.partitions)
  return {
    topics: topics.length,
    partitions: partitions.length,
    objects: objects.filter(({ runs }) => runs.some((run) => partitionOf.has(run))).length,
    extents: partitionOf.size,
    sizeBytes: partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    producers: producers.rows().length,
    findings,
  }
}
