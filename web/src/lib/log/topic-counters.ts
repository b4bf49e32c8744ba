import type { PartitionView, TopicSummary } from './log-api.ts'
import type { Counters } from './rates.ts'

/** What was written and read since the start of the server. */
export function trafficCounters(of: TopicSummary | PartitionView): Counters {
  return { recordsIn: of.appendedRecords, bytesIn: of.appendedBytes, recordsOut: of.fetchedRecords, bytesOut: of.fetchedBytes }
}
