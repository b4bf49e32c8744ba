import { VarintReader, varintBytes, writeVarint } from '#bytes/varint.ts'
import { AppError } from '#lib/errors.ts'
import type { LogTopic } from './log-hub.ts'
import { invalidPlace } from './record-place.ts'

/** The next offset to read of a partition. */
export type ReadPosition = { readonly partition: number; readonly offset: number }

/** How far a reader has come in a topic: in all partitions, or in the one that it reads. In the order in which they are to be read next. */
export type ReadCursor = { readonly isAll: boolean; readonly positions: readonly ReadPosition[] }

const version = 1
const uuidBytes = 16

/** Version, id of the topic, kind and number of partitions, and a partition and offset each, in base64url. */
export function writeReadCursor(topic: Pick<LogTopic, 'id'>, { isAll, positions }: ReadCursor): string {
  const numbers = [isAll ? 1 : 0, positions.length, ...positions.flatMap(({ partition, offset }) => [partition, offset])]
  const bytes = Buffer.alloc(1 + uuidBytes + numbers.reduce((sum, number) => sum + varintBytes(number), 0))
  bytes[0] = version
  bytes.write(topic.id.replaceAll('-', ''), 1, 'hex')
  numbers.reduce((at, number) => writeVarint(bytes, at, number), 1 + uuidBytes)
  return bytes.toString('base64url')
}

/** Throws `REQUEST_INVALID` for what is no cursor of this topic; one of an earlier topic with this name is none. */
export function parseReadCursor(topic: Pick<LogTopic, 'id' | 'name' | 'partitions'>, text: string): ReadCursor {
  const bytes = Buffer.from(text, 'base64url')
  try {
    if (bytes.toString('base64url') !== text || bytes[0] !== version) throw new AppError('MALFORMED', 'of another kind')
    if (bytes.toString('hex', 1, 1 + uuidBytes) !== topic.id.replaceAll('-', '')) {
      throw new AppError('MALFORMED', `of another topic than "${topic.name}" is now`)
    }
    return readPositions(new VarintReader(bytes.subarray(1 + uuidBytes)), topic.partitions.length)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw invalidPlace('query.cursor', `is no cursor of this topic (${error.message}); begin again without it`)
  }
}

function readPositions(reader: VarintReader, partitionCount: number): ReadCursor {
  const isAll = reader.varint() === 1
  const count = reader.varint()
  if (count < 0 || count > reader.remaining) throw new AppError('MALFORMED', 'too short')
  const offsets = new Map<number, number>()
  for (let index = 0; index < count; index++) offsets.set(reader.varint(), reader.varint())
  const positions = [...offsets].map(([partition, offset]) => ({ partition, offset }))
  const isValid = positions.every(({ partition, offset }) => partition >= 0 && partition < partitionCount && offset >= 0)
  if (reader.remaining > 0 || !isValid || offsets.size !== count) throw new AppError('MALFORMED', 'damaged')
  return { isAll, positions }
}
