import { crc32 } from 'node:zlib'
import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import { AppError } from '#lib/errors.ts'

/**
 * The boxes of a recorded file without its media, to lie beside the file in the archive: reading an index over the network takes one or two
 * requests, where the file itself would take one for each fragment.
 *
 *   object:  u32 magic · u16 version · u16 0 · u64 size of the file · u32 count · count × place · u32 CRC-32 of all before · chunks
 *   place:   u64 offset in the file where the chunk's first range begins · u32 size of the chunk · u32 CRC-32 of the chunk
 *   chunk:   ranges: u64 offset in the file · u32 length · its bytes
 *
 * Ranges are in the order of their offsets and do not overlap.
 */

/** A stretch of the file, as it stands there. */
export type BoxRange = { readonly offset: number; readonly bytes: Buffer }

export type ChunkPlace = {
  /** In the file. */
  readonly offset: number
  readonly sizeBytes: number
  readonly crc: number
}

export type BoxIndexTable = {
  /** Of the file. */
  readonly fileBytes: number
  readonly chunks: readonly ChunkPlace[]
}

const magic = 0x4d4c4249 // MLBI
const version = 1
const headerBytes = 20
const placeBytes = 16
const crcBytes = 4

/** Bytes of a table with so many chunks: where the first chunk begins. */
export function tableBytes(chunkCount: number): number {
  return headerBytes + chunkCount * placeBytes + crcBytes
}

export function writeTable({ fileBytes, chunks }: BoxIndexTable): Buffer {
  const w = new Writer(tableBytes(chunks.length))
  w.u32(magic) // magic
  w.u16(version) // version
  w.u16(0) // reserved
  w.u64(fileBytes) // size of the file
  w.u32(chunks.length) // count
  for (const { offset, sizeBytes, crc } of chunks) {
    w.u64(offset) // offset in the file
    w.u32(sizeBytes) // size of the chunk
    w.u32(crc) // CRC-32 of the chunk
  }
  const table = w.finish()
  return Buffer.concat([table, crcOf(table)])
}

/** Reads the table that `bytes` begins with. Throws `TRUNCATED`, `MALFORMED`, `UNSUPPORTED`. */
export function readTable(bytes: Buffer): BoxIndexTable {
  const r = new Reader(bytes)
  if (r.u32() !== magic) throw new AppError('MALFORMED', 'no box index of a recording')
  const found = r.u16()
  if (found !== version) throw new AppError('UNSUPPORTED', `a box index of version ${found}; this Millrace reads ${version}`)
  r.skip(2)
  const fileBytes = r.u64()
  const count = r.u32()
  if (count * placeBytes + crcBytes > r.remaining)
    throw new AppError('TRUNCATED', `a box index of ${count} chunks in ${bytes.length} bytes`)
  const chunks = Array.from({ length: count }, () => ({ offset: r.u64(), sizeBytes: r.u32(), crc: r.u32() }))
  checkCrc(bytes.subarray(0, r.pos), r.u32())
  return { fileBytes, chunks }
}

export function writeChunk(ranges: readonly BoxRange[]): Buffer {
  const w = new Writer(ranges.reduce((sum, { bytes }) => sum + rangeHeaderBytes + bytes.length, 0))
  for (const { offset, bytes } of ranges) {
    w.u64(offset) // offset in the file
    w.u32(bytes.length) // length
    w.raw(bytes)
  }
  return w.finish()
}

/** Bytes that a range takes in a chunk besides its own. */
export const rangeHeaderBytes = 12

export function placeOf(offset: number, chunk: Buffer): ChunkPlace {
  return { offset, sizeBytes: chunk.length, crc: crc32(chunk) }
}

/** The ranges of a chunk, as views. Throws `MALFORMED` when it is not the one of the table, `TRUNCATED`. */
export function readChunk(bytes: Buffer, { crc }: ChunkPlace): BoxRange[] {
  checkCrc(bytes, crc)
  const r = new Reader(bytes)
  const ranges: BoxRange[] = []
  while (r.remaining > 0) ranges.push({ offset: r.u64(), bytes: r.slice(r.u32()) })
  return ranges
}

function crcOf(bytes: Buffer): Buffer {
  return new Writer(crcBytes).u32(crc32(bytes)).finish()
}

function checkCrc(bytes: Buffer, expected: number): void {
  if (crc32(bytes) !== expected) throw new AppError('MALFORMED', 'a box index whose checksum is wrong')
}
