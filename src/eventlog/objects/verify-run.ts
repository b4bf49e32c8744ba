import { crc32c } from '#formats/kafka/crc32c.ts'
import { batchHeaderBytes, readBatchHeader, type BatchHeader } from '#formats/kafka/record-batch.ts'
import { AppError } from '#lib/errors.ts'
import type { ExtentRow, SparsePoint } from '../metadata/log-metadata.ts'
import type { StreamCursor } from './stream-cursor.ts'

/** Bytes of the header before those that the checksum covers: it begins at the attributes. */
const crcFrom = 21

/** What is wrong in a run: with the batch that begins there, or with the run as a whole. */
export type RunFault = { readonly positionBytes: number; readonly message: string }

/**
 * Reads one run, whose first byte comes next, to its end: every batch against its checksum, its place and what the database says of the run. Throws what the
 * stream throws, and `TRUNCATED`.
 */
export async function verifyRun(cursor: StreamCursor, extent: ExtentRow): Promise<{ batches: number; faults: RunFault[] }> {
  const faults: RunFault[] = []
  const points = new Map(extent.sparse.map((point) => [point.positionBytes, point]))
  let [batches, done, nextOffset] = [0, 0, extent.baseOffset]
  let [minTimestampMs, maxTimestampMs] = [Infinity, -Infinity]
  while (done < extent.lengthBytes) {
    const positionBytes = extent.positionBytes + done
    const left = extent.lengthBytes - done
    const head = await cursor.take(Math.min(left, batchHeaderBytes))
    const header = headerOf(head)
    if (header === undefined || header.sizeBytes > left) {
      faults.push({ positionBytes, message: 'no batch begins here; the rest of the run cannot be read' })
      await cursor.pass(left - head.length)
      return { batches, faults }
    }
    const point = points.get(done)
    points.delete(done)
    for (const message of [placeFault(header, nextOffset), pointFault(point, header, maxTimestampMs)]) {
      if (message !== undefined) faults.push({ positionBytes, message })
    }
    let crc = crc32c(head.subarray(crcFrom))
    await cursor.pass(header.sizeBytes - head.length, (piece) => (crc = crc32c(piece, crc)))
    if (crc !== header.crc) faults.push({ positionBytes, message: 'the batch does not fit its checksum' })
    batches += 1
    done += header.sizeBytes
    nextOffset = header.baseOffset + header.lastOffsetDelta + 1
    minTimestampMs = Math.min(minTimestampMs, header.baseTimestampMs)
    maxTimestampMs = Math.max(maxTimestampMs, header.maxTimestampMs)
  }
  const found = { lastOffset: nextOffset - 1, batchCount: batches, minTimestampMs, maxTimestampMs }
  for (const message of [...differences(found, extent), ...strayPoints(points)]) {
    faults.push({ positionBytes: extent.positionBytes, message })
  }
  return { batches, faults }
}

function headerOf(bytes: Buffer): BatchHeader | undefined {
  try {
    return readBatchHeader(bytes)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function placeFault({ baseOffset }: BatchHeader, nextOffset: number): string | undefined {
  return baseOffset === nextOffset ? undefined : `the batch has offset ${baseOffset} where ${nextOffset} comes next`
}

function pointFault(point: SparsePoint | undefined, { baseOffset }: BatchHeader, maxTimestampMs: number): string | undefined {
  if (point === undefined || (point.offset === baseOffset && point.maxTimestampMs === maxTimestampMs)) return undefined
  return `the sparse index of the database has offset ${point.offset} and time ${point.maxTimestampMs} for the batch of offset ${baseOffset}`
}

type Summary = Pick<ExtentRow, 'lastOffset' | 'batchCount' | 'minTimestampMs' | 'maxTimestampMs'>

function differences(found: Summary, extent: ExtentRow): string[] {
  const fields = ['lastOffset', 'batchCount', 'minTimestampMs', 'maxTimestampMs'] as const
  return fields.flatMap((field) =>
    found[field] === extent[field] ? [] : [`the batches have ${field} ${found[field]}, the database says ${extent[field]}`],
  )
}

function strayPoints(points: ReadonlyMap<number, SparsePoint>): string[] {
  return [...points.keys()].map(
    (position) => `the sparse index of the database has a batch at byte ${position} of the run, none begins there`,
  )
}
