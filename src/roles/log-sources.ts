import type { LogAgent } from '#eventlog/agent.ts'
import type { GroupLag, LogSources } from '#ops/log-metrics.ts'

/** Groups whose lag is told; beyond, a scrape would take too long. */
const maxGroups = 1000

/** What metrics tell of the event log. */
export function logSources(agent: LogAgent): LogSources {
  return {
    topics: () =>
      agent.topics.list().map(({ name, partitions }) => ({
        name,
        partitionCount: partitions.length,
        keptRecords: sum(partitions, ({ highWatermark, logStart }) => highWatermark - logStart),
        sizeBytes: sum(partitions, ({ committedBytes }) => committedBytes),
        appended: {
          records: sum(partitions, ({ appended }) => appended.records),
          bytes: sum(partitions, ({ appended }) => appended.bytes),
        },
        fetched: {
          records: sum(partitions, ({ fetched }) => fetched.records),
          bytes: sum(partitions, ({ fetched }) => fetched.bytes),
        },
        refusingPartitions: partitions.filter(({ isOwned }) => !isOwned).length,
      })),
    figures: () => agent.stats,
    groups: () => agent.groups.list(),
    lags: () => findLags(agent),
  }
}

async function findLags({ groups, topics }: LogAgent): Promise<GroupLag[]> {
  const lags: GroupLag[] = []
  for (const { groupId: group } of groups.list().slice(0, maxGroups)) {
    const byTopic = new Map<string, number>()
    for (const { topic, partition, offset } of await groups.committedOffsets(group)) {
      const end = topics.find(topic)?.partitions[partition]?.highWatermark
      if (end !== undefined && offset >= 0) byTopic.set(topic, (byTopic.get(topic) ?? 0) + Math.max(0, end - offset))
    }
    for (const [topic, records] of byTopic) lags.push({ group, topic, records })
  }
  return lags
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0)
}
