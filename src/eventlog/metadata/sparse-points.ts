import { AppError } from '#lib/errors.ts'
import type { RunRow, SparsePoint } from './log-metadata.ts'
import { packIntegers, unpackIntegers } from './packed-integers.ts'

/** The points of a run as differences, each to the point before it and the first to the start of the run: some 6 bytes a point. */
export function packSparse({ sparse, baseOffset, minTimestampMs }: Start & { readonly sparse: readonly SparsePoint[] }): Buffer {
  let before: SparsePoint = { offset: baseOffset, positionBytes: 0, maxTimestampMs: minTimestampMs }
  const differences: number[] = []
  for (const point of sparse) {
    differences.push(
      point.offset - before.offset,
      point.positionBytes - before.positionBytes,
      point.maxTimestampMs - before.maxTimestampMs,
    )
    before = point
  }
  return packIntegers(differences)
}

/** Throws `LOG_DAMAGED` for what `packSparse` does not write. */
export function unpackSparse(bytes: Uint8Array, { baseOffset, minTimestampMs }: Start): SparsePoint[] {
  const differences = unpackIntegers(bytes)
  if (differences.length % 3 !== 0) {
    throw new AppError(
      'LOG_DAMAGED',
      `the sparse index of the extent at offset ${baseOffset} is damaged; restore the database from a backup`,
    )
  }
  let before: SparsePoint = { offset: baseOffset, positionBytes: 0, maxTimestampMs: minTimestampMs }
  const points: SparsePoint[] = []
  for (let at = 0; at < differences.length; at += 3) {
    const [offset = 0, positionBytes = 0, maxTimestampMs = 0] = differences.slice(at, at + 3)
    before = {
      offset: before.offset + offset,
      positionBytes: before.positionBytes + positionBytes,
      maxTimestampMs: before.maxTimestampMs + maxTimestampMs,
    }
    points.push(before)
  }
  return points
}

type Start = Pick<RunRow, 'baseOffset' | 'minTimestampMs'>
