import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { crc32c } from '#formats/kafka/crc32c.ts'
import { AppError } from '#lib/errors.ts'
import type { ProducerBatch, ProducerRow, RunRow, SparsePoint } from '../metadata/log-metadata.ts'

/**
 * The end of an object of the log: an index that tells what lies where, and a footer of fixed size that tells where the index is. The database holds the
 * same and is what counts; the index is there so that a lost database can be built again from the bucket alone.
 *
 *   batches … | index: format version, object id, runs | footer: position and size of the index, CRC32C of the index, magic
 */
export type ObjectIndex = { readonly objectId: string; readonly runs: readonly IndexedRun[] }

/** A run with the names that the database has elsewhere, and the last batches of the idempotent producers that have some in it. */
export type IndexedRun = {
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  readonly row: RunRow
  readonly producers: readonly RunProducer[]
}
export type RunProducer = Pick<ProducerRow, 'producerId' | 'producerEpoch' | 'batches'>

/** Where the index of an object is; the footer follows it. */
export type IndexPlace = { readonly positionBytes: number; readonly lengthBytes: number; readonly crc: number }

export const footerBytes = 20
/** Nobody reads an index above this size into memory. */
const maxIndexBytes = 256 * 2 ** 20
const formatVersion = 1
/** "MRLO": Millrace log object. */
const magic = 0x4d_52_4c_4f

/** Index and footer, for an object whose batches take `batchesBytes`. */
export function encodeObjectTail({ objectId, runs }: ObjectIndex, batchesBytes: number): Buffer {
  const w = new Writer(4096)
  w.u16(formatVersion) // format version
  writeText(w, objectId) // object id
  w.u32(runs.length) // run count
  for (const run of runs) writeRun(w, run)
  return sealIndex(w.finish(), batchesBytes)
}

/** Puts the footer behind the bytes of an index. */
export function sealIndex(index: Buffer, positionBytes: number): Buffer {
  const w = new Writer(footerBytes)
  w.u64(positionBytes) // index position
  w.u32(index.length) // index length
  w.u32(crc32c(index)) // CRC32C of the index
  w.u32(magic) // magic
  return Buffer.concat([index, w.finish()])
}

/** Reads the footer at the end of `tail`, the last bytes of an object of `sizeBytes`. Throws `LOG_DAMAGED` when it is none. */
export function decodeFooter(tail: Buffer, sizeBytes: number): IndexPlace {
  if (tail.length < footerBytes || tail.length > sizeBytes) throw damaged(`it has ${sizeBytes} bytes, too few for a footer`)
  const r = new Reader(tail.subarray(-footerBytes))
  const positionBytes = r.u64() // index position
  const lengthBytes = r.u32() // index length
  const crc = r.u32() // CRC32C of the index
  if (r.u32() !== magic) throw damaged('it does not end with the footer of one')
  if (lengthBytes > maxIndexBytes || positionBytes + lengthBytes + footerBytes !== sizeBytes) {
    throw damaged(`its footer speaks of ${lengthBytes} bytes of index at ${positionBytes}, the object has ${sizeBytes} bytes`)
  }
  return { positionBytes, lengthBytes, crc }
}

/**
 * Reads the index out of `tail`, the last bytes of an object of `sizeBytes`; it must reach back to the index (`decodeFooter`). Throws `LOG_DAMAGED` for
 * bytes that no object can end with, `TRUNCATED` when the tail begins too late, and `UNSUPPORTED` for an index of a newer version.
 */
export function decodeObjectIndex(tail: Buffer, sizeBytes: number): ObjectIndex {
  const place = decodeFooter(tail, sizeBytes)
  const start = tail.length - footerBytes - place.lengthBytes
  if (start < 0) throw new AppError('TRUNCATED', `the index has ${place.lengthBytes} bytes, ${tail.length} were read; read more`)
  const bytes = tail.subarray(start, tail.length - footerBytes)
  if (crc32c(bytes) !== place.crc) throw damaged('its index does not fit its checksum')
  return readIndex(new Reader(bytes), place.positionBytes)
}

function readIndex(r: Reader, batchesBytes: number): ObjectIndex {
  const version = r.u16() // format version
  if (version !== formatVersion) {
    throw new AppError(
      'UNSUPPORTED',
      `object of the log has format version ${version}, this program knows ${formatVersion}; use a newer one`,
    )
  }
  const objectId = readText(r) // object id
  const runs: IndexedRun[] = []
  for (let left = r.u32(); left > 0; left--) runs.push(readRun(r, batchesBytes)) // run count
  if (r.remaining > 0) throw damaged(`${r.remaining} bytes follow its last run`)
  return { objectId, runs }
}

function writeRun(w: Writer, { topicId, topicName, partition, row, producers }: IndexedRun): void {
  writeText(w, topicId) // topic id
  writeText(w, topicName) // topic name
  w.u32(partition) // partition index
  w.u64(row.partitionId) // partition id
  w.u64(row.epoch) // epoch
  w.u64(row.baseOffset) // base offset
  w.u64(row.lastOffset) // last offset
  w.u64(row.positionBytes) // position
  w.u64(row.lengthBytes) // length
  w.i64(row.minTimestampMs) // min timestamp
  w.i64(row.maxTimestampMs) // max timestamp
  w.u32(row.batchCount) // batch count
  w.u32(row.sparse.length) // sparse point count
  for (const point of row.sparse) writeSparsePoint(w, point)
  w.u32(producers.length) // producer count
  for (const producer of producers) writeProducer(w, producer)
}

function readRun(r: Reader, batchesBytes: number): IndexedRun {
  const topicId = readText(r) // topic id
  const topicName = readText(r) // topic name
  const partition = r.u32() // partition index
  const row = {
    partitionId: readCount(r), // partition id
    epoch: readCount(r), // epoch
    baseOffset: readCount(r), // base offset
    lastOffset: readCount(r), // last offset
    positionBytes: readCount(r), // position
    lengthBytes: readCount(r), // length
    minTimestampMs: r.i64(), // min timestamp
    maxTimestampMs: r.i64(), // max timestamp
    batchCount: r.u32(), // batch count
    sparse: readSparsePoints(r), // sparse points
  }
  checkRow(row, batchesBytes)
  const producers: RunProducer[] = []
  for (let left = r.u32(); left > 0; left--) producers.push(readProducer(r)) // producer count
  return { topicId, topicName, partition, row, producers }
}

function writeSparsePoint(w: Writer, point: SparsePoint): void {
  w.u64(point.offset) // base offset of the batch
  w.u64(point.positionBytes) // position in the run
  w.i64(point.maxTimestampMs) // max timestamp before it
}

function readSparsePoints(r: Reader): SparsePoint[] {
  const points: SparsePoint[] = []
  for (let left = r.u32(); left > 0; left--) {
    const offset = readCount(r) // base offset of the batch
    const positionBytes = readCount(r) // position in the run
    points.push({ offset, positionBytes, maxTimestampMs: r.i64() }) // max timestamp before it
  }
  return points
}

function writeProducer(w: Writer, { producerId, producerEpoch, batches }: RunProducer): void {
  w.u64(producerId) // producer id
  w.i16(producerEpoch) // producer epoch
  w.u8(batches.length) // batch count
  for (const batch of batches) {
    w.u32(batch.firstSequence) // first sequence
    w.u32(batch.lastSequence) // last sequence
    w.u64(batch.baseOffset) // base offset
    w.u64(batch.lastOffset) // last offset
    w.i64(batch.timestampMs) // max timestamp
  }
}

function readProducer(r: Reader): RunProducer {
  const producerId = readCount(r) // producer id
  const producerEpoch = r.i16() // producer epoch
  const batches: ProducerBatch[] = []
  for (let left = r.u8(); left > 0; left--) {
    batches.push({
      firstSequence: r.u32(), // first sequence
      lastSequence: r.u32(), // last sequence
      baseOffset: readCount(r), // base offset
      lastOffset: readCount(r), // last offset
      timestampMs: r.i64(), // max timestamp
    })
  }
  return { producerId, producerEpoch, batches }
}

/** What readers rely on: the run lies within the batches, its sparse points within the run and in order. */
function checkRow({ baseOffset, lastOffset, positionBytes, lengthBytes, sparse }: RunRow, batchesBytes: number): void {
  const isPlaced = baseOffset <= lastOffset && lengthBytes > 0 && positionBytes + lengthBytes <= batchesBytes
  let before = { offset: baseOffset, positionBytes: 0 }
  const isAscending = sparse.every((point) => {
    const isBehind = point.offset > before.offset && point.positionBytes > before.positionBytes
    before = point
    return isBehind
  })
  if (isPlaced && isAscending && before.offset <= lastOffset && before.positionBytes < lengthBytes) return
  throw damaged(
    `its index has a run that cannot be: offsets ${baseOffset} to ${lastOffset}, ${lengthBytes} bytes at ${positionBytes}`,
  )
}

/** 64 bits that are never negative. */
function readCount(r: Reader): number {
  const value = r.i64()
  if (value < 0) throw damaged(`its index has a negative number before byte ${r.pos}`)
  return value
}

function writeText(w: Writer, text: string): void {
  const lengthBytes = Buffer.byteLength(text)
  w.u16(lengthBytes).utf8(text, lengthBytes)
}

function readText(r: Reader): string {
  return r.utf8(r.u16())
}

function damaged(fault: string): AppError {
  return new AppError('LOG_DAMAGED', `object of the log is damaged: ${fault}`)
}
