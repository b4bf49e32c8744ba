import { committedPlaces } from './committed-places.ts'
import type { GroupReset, GroupResetAnswer } from './log-contract.ts'
import type { LogHub, LogTopic } from './log-hub.ts'
import { invalidPlace, offsetAt, parsePlace, type RecordPlace } from './record-place.ts'

type ResetOffset = GroupResetAnswer['offsets'][number]
/** Where the offsets of a group go: to a place, to an offset, or so much further. */
type Target = { readonly place: RecordPlace } | { readonly offset: number } | { readonly shift: number }

/** What a reset would commit. Offsets stay between the start and the end of their partition. Throws `REQUEST_INVALID`, `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`. */
export async function planReset(log: LogHub, group: string, reset: GroupReset): Promise<ResetOffset[]> {
  const target = targetOf(reset)
  const topic = log.topics.get(reset.topic)
  const indexes = new Set(reset.partitions ?? topic.partitions.map(({ index }) => index))
  const committed = await committedPlaces(log, group)
  const before = new Map(committed.filter((one) => one.topic === topic.name).map(({ partition, offset }) => [partition, offset]))
  const offsets: ResetOffset[] = []
  for (const partition of [...indexes].toSorted((a, b) => a - b)) {
    const { logStart, highWatermark } = topic.partition(partition)
    const known = before.get(partition)
    const wanted = await aimedAt(log, topic, { partition, target, known })
    const after = Math.min(Math.max(wanted, logStart), highWatermark)
    offsets.push({
      topic: topic.name,
      partition,
      ...(known === undefined ? {} : { before: known }),
      after,
      lag: highWatermark - after,
    })
  }
  return offsets
}

/** Each kind of target takes the field of its name and no other. */
function targetOf({ to, offset, time, shift }: GroupReset): Target {
  const given = Object.entries({ offset, time, shift }).filter(([, value]) => value !== undefined)
  const stranger = given.find(([name]) => name !== to)
  if (stranger) throw invalidPlace(`body.${stranger[0]}`, `does not go with to = ${to}; leave it out`)
  if (to === 'earliest' || to === 'latest') return { place: to }
  if (to === 'offset' && offset !== undefined) return { offset }
  if (to === 'time' && time !== undefined) return { place: parsePlace(time, 'body.time') }
  if (to === 'shift' && shift !== undefined) return { shift }
  throw invalidPlace(`body.${to}`, `is required with to = ${to}`)
}

async function aimedAt(
  log: LogHub,
  topic: LogTopic,
  { partition, target, known }: { partition: number; target: Target; known: number | undefined },
): Promise<number> {
  if ('offset' in target) return target.offset
  if ('place' in target) return (await offsetAt(log, topic, { partition, place: target.place })).offset
  if (known !== undefined) return known + target.shift
  throw invalidPlace(
    'body.shift',
    `needs a committed offset, and partition ${partition} has none; name partitions, or choose another target`,
  )
}
