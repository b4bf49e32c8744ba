import { join } from 'node:path'
import type { Logger } from '#lib/log.ts'
import type { DiskBudget } from './disk-budget.ts'
import type { Disk } from './disk.ts'
import { findSegments, segmentFileName } from './segment-files.ts'
import { entriesStart, parseSegmentHeader } from './wal-format.ts'
import { walkSegment } from './wal-scan.ts'
import { Segment } from './wal-segment.ts'

/** A place where something is that cannot be read; which partitions it belongs to is unknown. */
export type Unreadable = { readonly segment: number; readonly positionBytes: number }

export type FoundLog = {
  /** Those with entries, in order; all sealed. */
  readonly segments: readonly Segment[]
  readonly unreadable: readonly Unreadable[]
  readonly nextNumber: number
}

type RecoveryOptions = {
  readonly directory: string
  readonly disk: Disk
  readonly walId: string
  readonly names: readonly string[]
  readonly budget: DiskBudget
  readonly log: Logger
}

/** What the headers of a segment say. */
type Survey = {
  readonly segment: Segment
  /** Stretches that cannot be read, up to the next intact header or the end of the file. */
  readonly gaps: readonly number[]
  /** Where the group of its last intact header begins; 0: there is none. */
  readonly lastGroupStart: number
}

/** A rewrite goes in pieces of this size. */
const pieceBytes = 1_048_576

/**
 * Finds what is in the directory, tells damage from a torn tail (see `wal-format.ts`), and leaves a log whose segments are all sealed. Whatever is done here
 * changes nothing about what the next start would find, so that a power cut in between does no harm: the torn tail is cut by a seal, which no disk tears, and
 * damaged segments have their names before anything is removed that proves the damage.
 */
export async function recoverSegments(options: RecoveryOptions): Promise<FoundLog> {
  const files = findSegments(options.names)
  const opened: Segment[] = []
  try {
    const unreadable: Unreadable[] = []
    for (const file of files) {
      const segment = await openSegment(file, options)
      if (segment) opened.push(segment)
      else unreadable.push({ segment: file.number, positionBytes: 0 })
    }
    unreadable.push(...(await sealAll(opened)))
    unreadable.sort((a, b) => a.segment - b.segment || a.positionBytes - b.positionBytes)
    for (const segment of opened) if (segment.isDamaged) await quarantine(segment, options)
    await removeEmpty(opened, options)
    return { segments: opened.filter(hasContent), unreadable, nextNumber: (files.at(-1)?.number ?? 0) + 1 }
  } catch (error) {
    for (const { file } of opened) await file[Symbol.asyncDispose]()
    throw error
  }
}

/** Gives a damaged segment the name under which it is kept, and says so. */
export async function quarantine(
  segment: Segment,
  { directory, disk, log }: { readonly directory: string; readonly disk: Disk; readonly log: Logger },
): Promise<void> {
  segment.isDamaged = true
  const path = join(directory, segmentFileName(segment.number, 'damaged'))
  if (path !== segment.path) {
    await disk.rename(segment.path, path)
    await disk.syncDirectory(directory)
    segment.path = path
  }
  log.error(
    { code: 'LOG_DAMAGED', file: path },
    'a segment of the write-ahead log is damaged; it is kept, and reported at every start until it is moved away',
  )
}

/** Undefined when its header cannot be read, or is that of another log: the file is left as it is. */
async function openSegment(
  { name, number, isDamaged }: { readonly name: string; readonly number: number; readonly isDamaged: boolean },
  { directory, disk, walId, budget, log }: RecoveryOptions,
): Promise<Segment | undefined> {
  const path = join(directory, name)
  const file = await disk.open(path, { isNew: false })
  const fileBytes = await file.sizeBytes()
  budget.change(fileBytes)
  const header = parseSegmentHeader(await file.read(0, entriesStart))
  if (header?.walId !== walId || header.number !== number) {
    await file[Symbol.asyncDispose]()
    log.error(
      { code: 'LOG_DAMAGED', file: path },
      'a file of the write-ahead log has no header of this log; it is kept, and reported at every start until it is moved away',
    )
    return undefined
  }
  const { seed } = header
  const segment = new Segment({ file, path, number, seed, endBytes: entriesStart, fileBytes, isPreallocated: true, budget })
  segment.isDamaged = isDamaged
  return segment
}

/** Seals every segment at its end, and returns what is damaged. */
async function sealAll(segments: readonly Segment[]): Promise<Unreadable[]> {
  const surveys: Survey[] = []
  for (const segment of segments) surveys.push(await survey(segment))
  const lastIndex = surveys.findLastIndex(({ lastGroupStart }) => lastGroupStart > 0)
  const unreadable: Unreadable[] = []
  for (const [index, { segment, gaps, lastGroupStart }] of surveys.entries()) {
    // Nothing was written behind the last intact header but what was never synced, except what was found damaged by an earlier start.
    const provenEnd = index < lastIndex || segment.isDamaged ? Infinity : lastGroupStart
    const damaged = gaps.filter((position) => position < provenEnd)
    if (index === lastIndex && !segment.isDamaged) await sealLast(segment, lastGroupStart)
    segment.isSealed = true
    segment.isDamaged ||= damaged.length > 0
    unreadable.push(...damaged.map((positionBytes) => ({ segment: segment.number, positionBytes })))
  }
  return unreadable
}

async function survey(segment: Segment): Promise<Survey> {
  const gaps: number[] = []
  let lastGroupStart = 0
  for await (const found of walkSegment(segment, { checksBatches: false })) {
    if (found.kind === 'gap') {
      gaps.push(found.position)
      continue
    }
    lastGroupStart = found.header.groupStart
    segment.endBytes = found.end
    if (found.kind === 'entry') segment.marks.add(found.position)
    else segment.isSealed = true
  }
  return { segment, gaps, lastGroupStart }
}

/**
 * Ends the segment that was written to last. Its last group is written once more: a process that ended because a sync failed may leave pages in memory that read
 * well, count as clean, and are not on the disk.
 */
async function sealLast(segment: Segment, groupStart: number): Promise<void> {
  if (!segment.isSealed) segment.endBytes = await findIntactEnd(segment, groupStart)
  segment.marks.removeFrom(segment.endBytes)
  for (let position = groupStart; position < segment.endBytes; position += pieceBytes) {
    const piece = await segment.file.read(position, Math.min(pieceBytes, segment.endBytes - position))
    await segment.file.write(position, [piece])
  }
  await segment.file.sync()
  if (!segment.isSealed) await segment.seal()
  await segment.trim()
}

/** Where the entries of the last group end that are intact without a break. */
async function findIntactEnd(segment: Segment, groupStart: number): Promise<number> {
  let end = groupStart
  for await (const found of walkSegment(segment, { from: groupStart, checksBatches: true })) {
    if (found.kind !== 'entry' || !found.isIntact) break
    end = found.end
  }
  return end
}

function hasContent({ isDamaged, marks }: Segment): boolean {
  return isDamaged || marks.count > 0
}

async function removeEmpty(segments: readonly Segment[], { disk, directory, budget }: RecoveryOptions): Promise<void> {
  const empty = segments.filter((segment) => !hasContent(segment))
  for (const { file, path, fileBytes } of empty) {
    await file[Symbol.asyncDispose]()
    await disk.remove(path)
    budget.change(-fileBytes)
  }
  if (empty.length > 0) await disk.syncDirectory(directory)
}
