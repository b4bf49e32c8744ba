import { count, duration, size } from '../format.ts'
import type { GroupSummary, PartitionView, TopicConfig } from './log-api.ts'

const durabilities: Record<TopicConfig['durability'], string> = { wal: 'Local disk', object: 'Object store' }

/** What a record has survived when it is acknowledged. */
export function durabilityText(durability: TopicConfig['durability']): string {
  return durabilities[durability]
}

/** `7 d`, `for ever`, `7 d, 1.0 GB`: how much is kept; the size is that of a partition. */
export function retentionText({ retentionMs, retentionBytes }: Pick<TopicConfig, 'retentionMs' | 'retentionBytes'>): string {
  const limits = [retentionMs < 0 ? '' : duration(retentionMs), retentionBytes < 0 ? '' : size(retentionBytes)]
  return limits.filter((limit) => limit !== '').join(', ') || 'for ever'
}

/** `1 record`, `12,340 records`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

const partitionStates: Record<PartitionView['state'], string> = { online: 'Online', failed: 'Failed', unowned: 'No owner' }

export function partitionStateText(state: PartitionView['state']): string {
  return partitionStates[state]
}

type GroupMark = { readonly text: string; readonly tone: 'good' | 'warn' | 'quiet'; readonly shape?: 'ring' | 'square' }

const groupMarks: Partial<Record<string, GroupMark>> = {
  Stable: { text: 'At work', tone: 'good' },
  Empty: { text: 'No members', tone: 'quiet', shape: 'ring' },
  PreparingRebalance: { text: 'Rebalancing', tone: 'warn' },
  CompletingRebalance: { text: 'Rebalancing', tone: 'warn' },
}

/** How the state of a group is shown. */
export function groupMark({ state }: Pick<GroupSummary, 'state'>): GroupMark {
  return groupMarks[state] ?? { text: state, tone: 'quiet' }
}

/** Where a member is; Kafka writes addresses as `/192.0.2.1`. */
export function hostText({ clientHost }: { readonly clientHost: string }): string {
  return clientHost.replace(/^\//, '')
}
