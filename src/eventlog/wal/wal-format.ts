import { crc32c } from '#formats/kafka/crc32c.ts'
import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'

// The bytes of a segment of the write-ahead log, and how its end is found after a crash. Numbers are big-endian.
//
//   0     segment header, twice; the rest of the block is zero
//   4096  entry, entry, …, seal
//
// Entries begin at multiples of 64 bytes, the size of a seal, so that no disk can tear a seal or the fixed part of an entry's header. An entry is its
// header, one or more record batches as they are, and zeros. Its CRC covers the header and the first 21 bytes of the first batch; among these is the batch's
// own CRC, which covers the rest of it: a batch is summed up once, by whoever took it in. What further batches have outside their own CRCs follows from what is
// before them. All of it is checked at recovery. A seal is an entry without a batch: the segment ends.
//
// In a file whose space is there, zeros follow a group to the end of its page; the next group covers them.
//
// The CRC begins with that of the segment header, which holds an id of this life of the file, and an entry knows its segment and position. So neither what
// a recycled file held before, nor an entry that somebody put inside a record, is ever taken for an entry.
//
// **Torn tail or damage.** Entries are written in groups: one write, one sync, and the next group is written only when that sync has succeeded. After a power
// cut any part of the last group may be missing, also one in front of a part that is there, and nobody was told that it was kept; everything before it was
// synced. Therefore each entry says where its group begins (`groupStart`), which is what had been synced when it was written. With the last intact
// header of the log at hand:
//   - what is bad before its `groupStart`, or in an earlier segment, had been synced: that is damage, and reported;
//   - what is bad from there on is the torn end of the last group: the log is cut at the first bad entry.
// A seal is a group of its own, written and synced before the next segment is begun. So it, as any entry of a later segment, proves all before it. An end that
// was closed in order is sealed, and damage there never passes for a torn tail; only without that, damage in the very last group cannot be told from it.

/** Entries begin at multiples of this. */
export const blockBytes = 64
/** Where the entries of a segment begin. */
export const entriesStart = 4096
/** Where the batches begin within their entry. */
export const entryHeaderBytes = 48
/** A seal takes one block. */
export const sealBytes = 64
/** What a parser of entry headers must be given, unless the segment ends before. */
export const parsedBytes = 69
/** The smallest record batch, its header alone. */
export const minBatchBytes = 61

const segmentMagic = 0x4d57_5331
const entryMagic = 0x4d57_4531
/** The first bytes of every entry, to search for. */
export const entryMagicBytes = Buffer.of(0x4d, 0x57, 0x45, 0x31)
const secondCopyAt = 2048
const maxIdBytes = 255
const coveredBatchBytes = parsedBytes - entryHeaderBytes
/** Of a record batch: `baseOffset` and `batchLength`, which `batchLength` does not count, and the CRC. */
const lengthPrefixBytes = 12
const crcAt = 17
const crcEnd = 21
const crcFrom = 8

/** `life` is an id that no other life of the file has; `seed` begins the checksums of its entries. */
export type SegmentHeader = { readonly walId: string; readonly number: number; readonly life: string; readonly seed: number }

/** Returns the block, and the seed that a parser of it would find. */
export function encodeSegmentHeader({ walId, number, life }: Omit<SegmentHeader, 'seed'>): { bytes: Buffer; seed: number } {
  const w = new Writer(512)
  w.u32(number) // number
  for (const id of [walId, life]) {
    w.u8(id.length) // length
    w.ascii(id) // walId, life
  }
  const fields = w.finish()
  const seed = crc32c(fields)
  const bytes = Buffer.alloc(entriesStart)
  for (const at of [0, secondCopyAt]) {
    bytes.writeUInt32BE(segmentMagic, at) // magic
    bytes.writeUInt32BE(seed, at + 4) // crc
    fields.copy(bytes, at + crcFrom)
  }
  return { bytes, seed }
}

/** Undefined when neither copy is intact. */
export function parseSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  return parseCopy(bytes.subarray(0, secondCopyAt)) ?? parseCopy(bytes.subarray(secondCopyAt))
}

function parseCopy(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < crcFrom + 6 + 2 * maxIdBytes) return undefined
  const r = new Reader(bytes)
  if (r.u32() !== segmentMagic) return undefined // magic
  const seed = r.u32() // crc
  const number = r.u32() // number
  const walId = r.ascii(r.u8()) // walId
  const life = r.ascii(r.u8()) // life
  return crc32c(bytes.subarray(crcFrom, r.pos)) === seed ? { walId, number, life, seed } : undefined
}

/** Where an entry is; enters its checksum. */
export type EntryPlace = {
  readonly seed: number
  readonly segment: number
  readonly position: number
  /** Where the group of the entry begins: everything before was synced when the entry was written. */
  readonly groupStart: number
}
export type EntryFields = {
  readonly partitionId: number
  readonly epoch: number
  readonly baseOffset: number
  readonly recordCount: number
}
/** `lengthBytes` is the length of the batches, 0 for a seal. */
export type EntryHeader = EntryFields & { readonly groupStart: number; readonly lengthBytes: number }

/** What an entry takes in its segment. */
export function entryBytes(lengthBytes: number): number {
  return Math.ceil((entryHeaderBytes + lengthBytes) / blockBytes) * blockBytes
}

/** Whether the batches of an entry, whose header is intact, are those that were written. */
export function areBatchesIntact(batches: Buffer, { baseOffset, recordCount }: EntryFields): boolean {
  let offset = baseOffset
  for (let at = 0; at < batches.length;) {
    if (batches.length - at < minBatchBytes) return false
    const end = at + lengthPrefixBytes + batches.readInt32BE(at + 8) // batchLength
    if (end < at + minBatchBytes || end > batches.length) return false
    // Of the first one the header of the entry knows all that is in front of its CRC.
    const isPlaced = at === 0 || (readU64(batches, at) === offset && batches.compare(batches, 12, 17, at + 12, at + 17) === 0)
    if (!isPlaced || crc32c(batches.subarray(at + crcEnd, end)) !== batches.readUInt32BE(at + crcAt)) return false
    offset += batches.readInt32BE(at + 23) + 1 // lastOffsetDelta
    at = end
  }
  return offset === baseOffset + recordCount
}

/** Writes the header of an entry at `at`, where the first 21 bytes of its first batch already stand behind. */
export function writeEntryHeader(
  bytes: Buffer,
  at: number,
  entry: EntryFields & EntryPlace & { readonly lengthBytes: number },
): void {
  bytes.writeUInt32BE(entryMagic, at) // magic
  bytes.writeUInt32BE(entry.segment, at + 8) // segment
  bytes.writeUInt32BE(entry.position, at + 12) // position
  bytes.writeUInt32BE(entry.groupStart, at + 16) // groupStart
  bytes.writeUInt32BE(entry.lengthBytes, at + 20) // lengthBytes
  writeU64(bytes, at + 24, entry.partitionId) // partitionId
  writeU64(bytes, at + 32, entry.baseOffset) // baseOffset
  bytes.writeUInt32BE(entry.epoch, at + 40) // epoch
  bytes.writeUInt32BE(entry.recordCount, at + 44) // recordCount
  const end = at + entryHeaderBytes + (entry.lengthBytes === 0 ? 0 : coveredBatchBytes)
  bytes.writeUInt32BE(crc32c(bytes.subarray(at + crcFrom, end), entry.seed), at + 4) // crc
}

export function encodeSeal(place: Omit<EntryPlace, 'groupStart'>): Buffer {
  const bytes = Buffer.alloc(sealBytes)
  const fields = { partitionId: 0, epoch: 0, baseOffset: 0, recordCount: 0, lengthBytes: 0 }
  writeEntryHeader(bytes, 0, { ...place, ...fields, groupStart: place.position })
  return bytes
}

/** The entry header at the start of `bytes`; undefined for anything but an intact one that belongs at this place and ends within the file. */
export function parseEntryHeader(
  bytes: Buffer,
  { seed, segment, position, fileBytes }: Omit<EntryPlace, 'groupStart'> & { readonly fileBytes: number },
): EntryHeader | undefined {
  if (bytes.length < blockBytes || bytes.readUInt32BE(0) !== entryMagic) return undefined // magic
  if (bytes.readUInt32BE(8) !== segment || bytes.readUInt32BE(12) !== position) return undefined // segment, position
  const groupStart = bytes.readUInt32BE(16) // groupStart
  const lengthBytes = bytes.readUInt32BE(20) // lengthBytes
  if (groupStart < entriesStart || groupStart > position) return undefined
  const isSeal = lengthBytes === 0
  if (!isSeal && (lengthBytes < minBatchBytes || position + entryHeaderBytes + lengthBytes > fileBytes)) return undefined
  const end = isSeal ? entryHeaderBytes : parsedBytes
  if (bytes.length < end || crc32c(bytes.subarray(crcFrom, end), seed) !== bytes.readUInt32BE(4)) return undefined // crc
  return {
    groupStart,
    lengthBytes,
    partitionId: readU64(bytes, 24), // partitionId
    baseOffset: readU64(bytes, 32), // baseOffset
    epoch: bytes.readUInt32BE(40), // epoch
    recordCount: bytes.readUInt32BE(44), // recordCount
  }
}

function writeU64(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  bytes.writeUInt32BE(value % 2 ** 32, at + 4)
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
