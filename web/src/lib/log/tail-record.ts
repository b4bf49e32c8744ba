import type { RecordView } from './log-api.ts'
import { parseRecordBytes, type RecordBytes, weightOf } from './record-bytes.ts'

/** A record as the tail keeps it. */
export type TailRecord = {
  /** No other record of the topic has it. */
  readonly id: string
  readonly partition: number
  readonly offset: number
  /** Absent when it is none that can be written. */
  readonly time: Date | undefined
  readonly key: RecordBytes
  readonly value: RecordBytes
  readonly headers: readonly { readonly key: string; readonly value: RecordBytes }[]
  /** About how much memory it takes. */
  readonly weight: number
}

export function tailRecord({ partition, offset, timestamp, key, value, headers }: RecordView): TailRecord {
  const parts = { key: parseRecordBytes(key), value: parseRecordBytes(value) }
  const named = headers.map((header) => ({ key: header.key, value: parseRecordBytes(header.value) }))
  const weights = [parts.key, parts.value, ...named.map((header) => header.value)].map(weightOf)
  return {
    id: `${partition}:${offset}`,
    partition,
    offset,
    time: timestamp === undefined ? undefined : new Date(timestamp),
    ...parts,
    headers: named,
    weight: weights.reduce((sum, weight) => sum + weight, 0),
  }
}

/** Records of several partitions in one row by their times; within a partition by offset, whatever their times are. */
export function mergeByTime(records: readonly TailRecord[]): TailRecord[] {
  const queues = new Map<number, TailRecord[]>()
  for (const record of records) {
    const queue = queues.get(record.partition)
    if (queue) queue.push(record)
    else queues.set(record.partition, [record])
  }
  const lists = [...queues.values()].map((queue) => ({ queue: queue.toSorted((a, b) => a.offset - b.offset), next: 0 }))
  const merged: TailRecord[] = []
  while (merged.length < records.length) {
    let earliest: (typeof lists)[number] | undefined
    for (const list of lists) {
      if (list.next < list.queue.length && (!earliest || timeOf(list) < timeOf(earliest))) earliest = list
    }
    const record = earliest?.queue[earliest.next++]
    if (!record) break
    merged.push(record)
  }
  return merged
}

function timeOf({ queue, next }: { queue: readonly TailRecord[]; next: number }): number {
  return queue[next]?.time?.getTime() ?? 0
}
