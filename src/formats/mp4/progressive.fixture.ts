/** Reads an MP4 with sample tables back, for tests: what a player would take out of it. */
import { Reader } from '#bytes/reader.ts'
import { boxesIn, findBox, requireBox } from './read-boxes.ts'

type ReadSample = {
  readonly dtsTicks: number
  readonly ctoTicks: number
  readonly durationTicks: number
  readonly isKeyframe: boolean
  readonly entryIndex: number
  readonly data: Buffer
}
export type ReadTrack = {
  readonly handler: string
  readonly timescaleHz: number
  readonly entries: number
  /** `media_time` -1 is an empty edit. */
  readonly edits: { durationTicks: number; mediaTime: number }[]
  readonly samples: ReadSample[]
}

/** The tracks of a whole file. Checks that the boxes fill it: `ftyp`, `moov`, `mdat`. */
export function readProgressive(file: Buffer): ReadTrack[] {
  const types = [...boxesIn(file)].map(({ type }) => type)
  if (types.join() !== 'ftyp,moov,mdat') throw new Error(`boxes ${types.join()}`)
  return [...boxesIn(requireBox(file, 'moov'))].filter(({ type }) => type === 'trak').map(({ body }) => readTrack(body, file))
}

function readTrack(trak: Buffer, file: Buffer): ReadTrack {
  const stbl = requireBox(trak, 'mdia', 'minf', 'stbl')
  const deltas = expand(rows(requireBox(stbl, 'stts'), 2))
  const ctts = findBox(stbl, 'ctts')
  const offsets = ctts ? expand(rows(ctts, 2)) : deltas.map(() => 0)
  const stsz = new Reader(requireBox(stbl, 'stsz'))
  stsz.skip(8)
  const sizes = Array.from({ length: stsz.u32() }, () => stsz.u32())
  const stss = findBox(stbl, 'stss')
  const keyframes = stss ? new Set(rows(stss, 1).flat()) : undefined
  const samples: ReadSample[] = []
  let dtsTicks = 0
  for (const { at, entryIndex } of places(stbl, sizes)) {
    const i = samples.length
    const durationTicks = deltas[i] ?? Number.NaN
    const size = sizes[i] ?? 0
    const isKeyframe = keyframes?.has(i + 1) ?? true
    samples.push({
      dtsTicks,
      ctoTicks: offsets[i] ?? 0,
      durationTicks,
      isKeyframe,
      entryIndex,
      data: file.subarray(at, at + size),
    })
    dtsTicks += durationTicks
  }
  if (deltas.length !== sizes.length || samples.length !== sizes.length) throw new Error('tables of different length')
  return {
    handler: requireBox(trak, 'mdia', 'hdlr').toString('latin1', 8, 12),
    timescaleHz: requireBox(trak, 'mdia', 'mdhd').readUInt32BE(20),
    entries: requireBox(stbl, 'stsd').readUInt32BE(4),
    edits: readEdits(requireBox(trak, 'edts', 'elst')),
    samples,
  }
}

/** Where each sample is: `stsc` tells the samples of each chunk of `co64`. */
function* places(stbl: Buffer, sizes: readonly number[]): Generator<{ at: number; entryIndex: number }> {
  const runs = rows(requireBox(stbl, 'stsc'), 3)
  const co64 = new Reader(requireBox(stbl, 'co64'))
  co64.skip(4)
  const chunks = co64.u32()
  let sample = 0
  for (let chunk = 1; chunk <= chunks; chunk++) {
    const [, count = 0, entryIndex = 0] = runs.findLast(([first = 0]) => first <= chunk) ?? []
    let at = co64.u64()
    for (let i = 0; i < count; i++) {
      yield { at, entryIndex }
      at += sizes[sample] ?? 0
      sample += 1
    }
  }
}

function readEdits(body: Buffer): { durationTicks: number; mediaTime: number }[] {
  const r = new Reader(body)
  r.skip(4)
  return Array.from({ length: r.u32() }, () => {
    const durationTicks = r.u64()
    const mediaTime = r.u32() === 0xffff_ffff ? -1 : r.u32()
    r.skip(mediaTime === -1 ? 8 : 4)
    return { durationTicks, mediaTime }
  })
}

/** A table of signed 32-bit columns. */
function rows(body: Buffer, columns: number): number[][] {
  const r = new Reader(body)
  r.skip(4)
  return Array.from({ length: r.u32() }, () => Array.from({ length: columns }, () => r.i32()))
}

function expand(runs: readonly number[][]): number[] {
  return runs.flatMap(([count = 0, value = 0]) => Array.from({ length: count }, () => value))
}
