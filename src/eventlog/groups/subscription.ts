import { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'

/**
 * The topics in the metadata of a member of type `consumer` (Kafka's ConsumerProtocolSubscription, all versions): version, then an array of names. What
 * follows them does not matter here. Undefined: the bytes are of another kind.
 */
export function subscribedTopics(metadata: Buffer): ReadonlySet<string> | undefined {
  try {
    return readTopics(new Reader(metadata))
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function readTopics(r: Reader): ReadonlySet<string> {
  r.i16() // version
  const count = r.i32()
  if (count < 0 || count * 2 > r.remaining) {
    throw new AppError('MALFORMED', `a subscription of ${count} topics in ${r.remaining} bytes`)
  }
  const topics = new Set<string>()
  for (let index = 0; index < count; index++) topics.add(r.utf8(r.u16()))
  return topics
}
