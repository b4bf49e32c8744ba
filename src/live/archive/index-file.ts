import { type ByteSource, WindowedReader } from '#formats/mp4/read-boxes.ts'
import { AppError } from '#lib/errors.ts'
import { type BoxRange, placeOf, type ChunkPlace, rangeHeaderBytes, tableBytes, writeChunk, writeTable } from './box-index.ts'

/** A reader of the index holds one of these in memory. */
const chunkBytes = 2 ** 18
/** Of media data: its longest header, and what a reader of headers asks for. */
export const mediaHeaderBytes = 16
/** A box above this is taken for damage: that of a fragment has about 500 bytes, that of a movie about 1,000. */
const maxBoxBytes = 4 * 2 ** 20

/** An index that is made while it is read: of a file of any length, a chunk is in memory at a time. */
export type IndexFile = { readonly sizeBytes: number; bytes(): AsyncGenerator<Buffer> }

/** Prepares the index of a recorded file, reading its boxes once for the sizes and again for the bytes. Errors of `file` pass through. */
export async function indexFile(file: ByteSource): Promise<IndexFile> {
  const places: ChunkPlace[] = []
  for await (const { offset, chunk } of chunksOf(file)) places.push(placeOf(offset, chunk))
  const table = writeTable({ fileBytes: file.sizeBytes, chunks: places })
  return {
    sizeBytes: tableBytes(places.length) + places.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    async *bytes() {
      yield table
      for await (const { chunk } of chunksOf(file)) yield chunk
    },
  }
}

async function* chunksOf(file: ByteSource): AsyncGenerator<{ offset: number; chunk: Buffer }> {
  let ranges: BoxRange[] = []
  let sizeBytes = 0
  for await (const range of rangesOf(file)) {
    const rangeBytes = rangeHeaderBytes + range.bytes.length
    if (ranges[0] && sizeBytes + rangeBytes > chunkBytes) {
      yield { offset: ranges[0].offset, chunk: writeChunk(ranges) }
      ranges = []
      sizeBytes = 0
    }
    ranges.push(range)
    sizeBytes += rangeBytes
  }
  if (ranges[0]) yield { offset: ranges[0].offset, chunk: writeChunk(ranges) }
}

/** All bytes but media data, boxes that follow each other as one range. Ends where the boxes are not well-formed any more. */
async function* rangesOf(file: ByteSource): AsyncGenerator<BoxRange> {
  const reader = new WindowedReader(file)
  let offset = 0
  let boxes: Buffer[] = []
  for (let at = 0; at < file.sizeBytes;) {
    const header = await headerAt(reader, at)
    const isMedia = header?.type === 'mdat'
    if (!header || (!isMedia && header.sizeBytes > maxBoxBytes)) break
    const kept = isMedia ? Math.min(mediaHeaderBytes, header.sizeBytes) : header.sizeBytes
    boxes.push(Buffer.from(await reader.view(at, kept)))
    at += header.sizeBytes
    if (kept === header.sizeBytes) continue
    yield { offset, bytes: Buffer.concat(boxes) }
    offset = at
    boxes = []
  }
  if (boxes.length > 0) yield { offset, bytes: Buffer.concat(boxes) }
}

async function headerAt(reader: WindowedReader, at: number): Promise<{ type: string; sizeBytes: number } | undefined> {
  try {
    return await reader.header(at)
  } catch (error) {
    if (error instanceof AppError && (error.code === 'TRUNCATED' || error.code === 'MALFORMED')) return undefined
    throw error
  }
}
