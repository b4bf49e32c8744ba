import type { CommittedOffset, LogHub } from './log-hub.ts'

/**
 * Where a group goes on, for the partitions where it has a place. Kafka clients may also have committed a sign (-1, -2) that asks for the end or the
 * beginning: that is no place.
 */
export async function committedPlaces(log: Pick<LogHub, 'groups'>, group: string): Promise<CommittedOffset[]> {
  return (await log.groups.committedOffsets(group)).filter(({ offset }) => offset >= 0)
}
