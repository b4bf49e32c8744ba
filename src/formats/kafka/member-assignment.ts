import { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'

/** A partition that a member of a consumer group was given to read. */
export type AssignedPartition = { readonly topic: string; readonly partition: number }

/**
 * The partitions in the assignment of a member of a group of type `consumer` (Kafka's ConsumerProtocolAssignment, all versions; user data follows them).
 * None for bytes of another kind: what is in an assignment is between the members.
 */
export function readAssignment(bytes: Buffer): AssignedPartition[] {
  if (bytes.length === 0) return []
  try {
    return readPartitions(new Reader(bytes))
  } catch (error) {
    if (error instanceof AppError) return []
    throw error
  }
}

function readPartitions(r: Reader): AssignedPartition[] {
  r.i16() // version
  const assigned: AssignedPartition[] = []
  const topicCount = countOf(r, 6)
  for (let index = 0; index < topicCount; index++) {
    const topic = r.utf8(r.u16()) // topic
    const partitionCount = countOf(r, 4)
    for (let at = 0; at < partitionCount; at++) assigned.push({ topic, partition: r.i32() }) // partitions
  }
  return assigned
}

/** The length of an array whose items take at least `itemBytes` each. */
function countOf(r: Reader, itemBytes: number): number {
  const count = r.i32()
  if (count >= 0 && count * itemBytes <= r.remaining) return count
  throw new AppError('MALFORMED', `an assignment of ${count} items in ${r.remaining} bytes`)
}
