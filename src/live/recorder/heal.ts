import { readdir, rm, stat, truncate } from 'node:fs/promises'
import { scanFragments } from '#formats/mp4/fragment-index.ts'
import type { ByteSource } from '#formats/mp4/read-boxes.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { concurrently } from './concurrently.ts'
import { openFileSource } from './file-source.ts'
import type { SegmentIdentity } from './identity-box.ts'
import { readRecordedHead } from './recorded-file.ts'
import { errnoOf } from './recording-disk.ts'
import type { RecordingIndex, RecordingSegment, SegmentPlace } from './recording-index.ts'
import { absolutePath, segmentIdOf } from './segment-path.ts'

export type HealOptions = {
  readonly directory: string
  readonly index: RecordingIndex
  readonly log: Logger
  readonly signal?: AbortSignal
}

export type HealReport = {
  readonly rows: number
  readonly files: number
  /** Rows that now tell what their file holds. */
  readonly healed: number
  /** Files that had no row. */
  readonly adopted: number
  readonly removedRows: number
  /** Files that are gone or damaged, of which the archive has the whole. */
  readonly freed: number
  /** Files without one whole part. */
  readonly removedFiles: number
  /** Bytes cut from files because they are no whole part. */
  readonly cutBytes: number
  /** Files that could not be read or repaired; the log names them. */
  readonly failed: number
}

/** The thread pool has 4 threads: more only keeps it busy. */
const concurrentFiles = 16
const rowsPerPage = 1000
/** Stream names have at most 8 elements; then comes the day. */
const deepest = 10

/**
 * Makes index and files agree after a crash: run before anything records. Open rows are closed with what their file really holds; a torn
 * end is cut behind the last whole part; files without a row get one; rows without a file go, unless the archive has it. Closed rows whose
 * size is right are left alone without opening the file: 10,000 of them take about a second. What is in the archive alone is not looked at.
 */
export async function healRecordings(options: HealOptions): Promise<HealReport> {
  const healing = new Healing(options)
  await healing.checkRows()
  await healing.adoptFiles()
  const { report } = healing
  options.log.info(report, 'recordings checked')
  return report
}

class Healing {
  readonly report = {
    rows: 0,
    files: 0,
    healed: 0,
    adopted: 0,
    removedRows: 0,
    freed: 0,
    removedFiles: 0,
    cutBytes: 0,
    failed: 0,
  }
  readonly #options: HealOptions

  constructor(options: HealOptions) {
    this.#options = options
  }

  async checkRows(): Promise<void> {
    const { index, signal } = this.#options
    for (let after: SegmentPlace | undefined; ;) {
      signal?.throwIfAborted()
      const rows = await index.pageOfDisk({ ...(after ? { after } : {}), limit: rowsPerPage })
      const last = rows.at(-1)
      if (!last) return
      const changes: Changes = { saved: [], removed: [] }
      await concurrently(rows, concurrentFiles, (row) => this.#guarded(row.path, () => this.#checkRow(row, changes)))
      await this.#apply(changes)
      this.report.rows += rows.length
      after = last
    }
  }

  async adoptFiles(): Promise<void> {
    const { directory, index, signal } = this.#options
    for await (const files of recordedFiles(directory)) {
      signal?.throwIfAborted()
      this.report.files += files.length
      const known = await index.findKnownIds(files.map(({ id }) => id))
      const changes: Changes = { saved: [], removed: [] }
      const strangers = files.filter(({ id }) => !known.has(id))
      await concurrently(strangers, concurrentFiles, ({ path }) => this.#guarded(path, () => this.#adopt(path, changes)))
      await this.#apply(changes)
    }
  }

  async #checkRow(row: RecordingSegment, changes: Changes): Promise<void> {
    const file = absolutePath(this.#options.directory, row.path)
    const sizeBytes = await fileSize(file)
    if (row.archivedAtMs !== undefined) {
      if (sizeBytes === row.sizeBytes) return
      // The archive has the whole of it.
      await rm(file, { force: true })
      await this.#options.index.forgetFile(row.id)
      this.report.freed += 1
    } else if (sizeBytes === undefined) {
      changes.removed.push(row.id)
      this.report.removedRows += 1
    } else if (row.state === 'open' || sizeBytes !== row.sizeBytes) {
      const found = await this.#repair(row.path)
      if (found) changes.saved.push(closed(row, found))
      else changes.removed.push(row.id)
      this.report[found ? 'healed' : 'removedRows'] += 1
    }
  }

  async #adopt(path: string, changes: Changes): Promise<void> {
    const found = await this.#repair(path)
    if (!found) return
    changes.saved.push(closed({ ...found.identity, path }, found))
    this.report.adopted += 1
  }

  /** Cuts a file behind its last whole part; removes one that has none. */
  async #repair(path: string): Promise<Found | undefined> {
    const file = absolutePath(this.#options.directory, path)
    const { found, fileBytes } = await inspect(file)
    if (!found) {
      await rm(file, { force: true })
      this.report.removedFiles += 1
      this.#options.log.warn({ path, fileBytes }, 'recorded file without a whole part removed')
      return undefined
    }
    if (found.sizeBytes < fileBytes) {
      await truncate(file, found.sizeBytes)
      this.report.cutBytes += fileBytes - found.sizeBytes
    }
    return found
  }

  async #apply({ saved, removed }: Changes): Promise<void> {
    if (saved.length > 0) await this.#options.index.save(saved)
    if (removed.length > 0) await this.#options.index.remove(removed)
  }

  /** One bad file does not keep the program from starting. */
  async #guarded(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const { code, message } = toAppError(error)
      this.report.failed += 1
      this.#options.log.error({ path, code, reason: message }, 'recorded file cannot be healed; it stays as it is')
    }
  }
}

type Changes = { readonly saved: RecordingSegment[]; readonly removed: string[] }

type Found = Pick<RecordingSegment, 'sizeBytes' | 'durationMs' | 'initSizeBytes'> & { readonly identity: SegmentIdentity }

function closed(
  segment: SegmentIdentity & Pick<RecordingSegment, 'path'>,
  { sizeBytes, durationMs, initSizeBytes }: Found,
): RecordingSegment {
  const { id, stream, sessionId, path, startedAtMs, isDiscontinuity } = segment
  const endedAtMs = startedAtMs + durationMs
  return {
    id,
    stream,
    sessionId,
    path,
    startedAtMs,
    endedAtMs,
    durationMs,
    sizeBytes,
    state: 'closed',
    initSizeBytes,
    isDiscontinuity,
    isOnDisk: true,
  }
}

/** What of a file is whole. `found` is undefined when there is no part, or the head is torn. */
async function inspect(path: string): Promise<{ found: Found | undefined; fileBytes: number }> {
  await using source = await openFileSource(path)
  const fileBytes = source.sizeBytes
  try {
    const { init, initBytes, mediaOffset, identity } = await readRecordedHead(source)
    const solidBytes = await sizeWithoutZeroTail(source)
    let sizeBytes = 0
    let startMs: number | undefined
    let endMs = 0
    for await (const fragment of scanFragments(source, init, mediaOffset)) {
      if (fragment.offset + fragment.sizeBytes > solidBytes) break
      sizeBytes = fragment.offset + fragment.sizeBytes
      startMs ??= fragment.startMs
      endMs = Math.max(endMs, fragment.endMs)
    }
    if (startMs === undefined) return { found: undefined, fileBytes }
    const durationMs = Math.round(endMs - startMs)
    return { found: { sizeBytes, durationMs, initSizeBytes: initBytes.length, identity }, fileBytes }
  } catch (error) {
    if (error instanceof AppError && (error.code === 'TRUNCATED' || error.code === 'MALFORMED'))
      return { found: undefined, fileBytes }
    throw error
  }
}

/**
 * Where the zeros begin that a file ends with: after a power cut a file may have its full size but not its last blocks. A part that
 * reaches into them is not trusted, at worst one whose last byte is a true zero.
 */
async function sizeWithoutZeroTail(source: ByteSource): Promise<number> {
  const blockBytes = 65_536
  for (let end = source.sizeBytes; end > 0;) {
    const start = Math.max(0, end - blockBytes)
    const block = await source.read(start, end - start)
    for (let i = block.length - 1; i >= 0; i--) if (block[i] !== 0) return start + i + 1
    end = start
  }
  return 0
}

type RecordedFile = { readonly id: string; readonly path: string }

/** The files that the recorder named, a directory at a time. */
async function* recordedFiles(root: string, path = '', depth = 0): AsyncGenerator<RecordedFile[]> {
  const entries = await readdir(absolutePath(root, path), { withFileTypes: true }).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const files: RecordedFile[] = []
  for (const entry of entries) {
    const inside = path === '' ? entry.name : `${path}/${entry.name}`
    const id = entry.isFile() ? segmentIdOf(entry.name) : undefined
    if (id !== undefined) files.push({ id, path: inside })
    if (entry.isDirectory() && depth < deepest) yield* recordedFiles(root, inside, depth + 1)
  }
  if (files.length > 0) yield files
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
