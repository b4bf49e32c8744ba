import { zeroUuid } from '../codec.ts'
import { sampleBatch } from './record-batch.fixture.ts'

const trivial = new Set(['', '0', '-1', '-2', 'null', 'true', 'false', '-2147483648', zeroUuid])

/**
 * All values in a message that tell something, as text, whatever their names: what must come out of a peer's decoder of what was written
 * here. Record batches count as the keys and values of their records.
 */
export function leaves(value: unknown): string[] {
  if (Buffer.isBuffer(value)) {
    return value.equals(sampleBatch) ? leaves([Buffer.from('key-1'), Buffer.from('value-1')]) : [value.toString('hex')]
  }
  if (value instanceof Map) return leaves([...value.values()])
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leaves)
  const text = String(value)
  return trivial.has(text) ? [] : [text]
}
