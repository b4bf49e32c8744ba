import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '#bytes/reader.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { h264Parameters } from '../../../test/support/media.ts'
import { BoxWriter } from './box-writer.ts'
import { writeCmafHeader } from './cmaf-header.ts'
import { readInit } from './read-init.ts'
import { findBox, requireBox } from './read-boxes.ts'
import { findColor, sampleEntryCodec } from './sample-entry-codecs.ts'
import { writeSampleEntry } from './sample-entry.ts'
import { segmentIndexBytes, writeSegmentIndex } from './segment-index.ts'

function entryOf(type: string, headBytes: number, boxes: readonly [string, string][]): Buffer {
  const w = new BoxWriter(256)
  w.box(type, () => {
    w.zeros(headBytes - 8)
    for (const [name, hex] of boxes) w.box(name, () => void w.raw(Buffer.from(hex, 'hex')))
  })
  return w.finish()
}

const bt709 = `${Buffer.from('nclx').toString('hex')}00010001000100`
const bt2020 = `${Buffer.from('nclx').toString('hex')}00090010000900`
const esds = `00000000${'03808080220002000480808014' + '401500000000000000000000000580808002' + '1190'}${'060102'}`

const entries: [codec: string, Buffer][] = [
  ['avc1.64001f', entryOf('avc1', 86, [['avcC', '0164001fffe1']])],
  [
    'av01.0.08M.08',
    entryOf('av01', 86, [
      ['av1C', '81080c00'],
      ['colr', bt709],
    ]),
  ],
  [
    'av01.0.12M.10.0.110.09.16.09.0',
    entryOf('av01', 86, [
      ['av1C', '810c4c00'],
      ['colr', bt2020],
    ]),
  ],
  [
    'av01.0.13H.10.0.112.09.16.09.0',
    entryOf('av01', 86, [
      ['av1C', '810dce00'],
      ['colr', bt2020],
    ]),
  ],
  ['vp09.00.31.08', entryOf('vp09', 86, [['vpcC', '01000000001f82010101']])],
  ['vp09.02.51.10.01.09.16.09.00', entryOf('vp09', 86, [['vpcC', '010000000233a2091009']])],
  ['mp4a.40.2', entryOf('mp4a', 36, [['esds', esds]])],
  ['opus', entryOf('Opus', 36, [['dOps', '0002000000000000000000']])],
]
for (const [codec, entry] of entries) {
  test(`the sample entry of ${codec} has that name`, () => assert.equal(sampleEntryCodec(entry), codec))
}

test('a sample entry without configuration, cut off, or of another codec is refused', () => {
  assert.throws(() => sampleEntryCodec(entryOf('avc1', 86, [])), { code: 'MALFORMED' })
  assert.throws(() => sampleEntryCodec(entryOf('mp4v', 86, [])), { code: 'UNSUPPORTED' })
})

fuzzBytes(
  'the name of a sample entry',
  entries.map(([, entry]) => entry),
  (bytes) => [sampleEntryCodec(bytes), findColor(bytes)],
)

test('colours are read where they are of the kind that names code points', () => {
  assert.deepEqual(findColor(entryOf('hvc1', 86, [['colr', bt2020]])), {
    primaries: 9,
    transfer: 16,
    matrix: 9,
    isFullRange: false,
  })
  assert.equal(findColor(entryOf('hvc1', 86, [['colr', Buffer.from('prof').toString('hex')]])), undefined)
})

const w = new BoxWriter(256)
writeSampleEntry(w, { id: 1, kind: 'video', clockRateHz: 25_000, parameters: h264Parameters })
const picture = { kind: 'video', timescaleHz: 25_000, sampleEntry: w.finish(), width: 320, height: 180, language: 'und' } as const

test('a CMAF header describes one track, with an edit list only where media begins before the work', () => {
  const header = writeCmafHeader({ ...picture, mediaStartTicks: 2000 })
  const { tracks, leading } = readInit(header)
  assert.equal(tracks.length, 1)
  assert.deepEqual([leading.timescaleHz, leading.width, leading.height], [25_000, 320, 180])
  assert.deepEqual(leading.sampleEntries, [picture.sampleEntry])
  assert.equal(new Reader(requireBox(header, 'moov', 'trak', 'edts', 'elst').subarray(12)).i32(), 2000)
  const plain = writeCmafHeader({ ...picture, mediaStartTicks: 0, language: 'deu' })
  assert.equal(findBox(plain, 'moov', 'trak', 'edts'), undefined)
  assert.equal(requireBox(plain, 'moov', 'trak', 'mdia', 'mdhd').readUInt16BE(20), 0x10b5)
})

test('an index has the size that was left for it', () => {
  const segments = [
    { sizeBytes: 5000, durationTicks: 150_000 },
    { sizeBytes: 70_000, durationTicks: 25_000 },
  ]
  const index = writeSegmentIndex({ trackId: 1, timescaleHz: 25_000, earliestTicks: 0, gapBytes: 12, segments })
  assert.equal(index.length, segmentIndexBytes(2))
  const r = new Reader(requireBox(index, 'sidx'))
  assert.deepEqual([r.u32(), r.u32(), r.u32(), r.u64(), r.u64(), r.u16(), r.u16()], [0x0100_0000, 1, 25_000, 0, 12, 0, 2])
  assert.deepEqual([r.u32(), r.u32(), r.u32()], [5000, 150_000, 0x9000_0000])
  const tooMany = Array.from({ length: 65_536 }, () => ({ sizeBytes: 1, durationTicks: 1 }))
  const written = () => writeSegmentIndex({ trackId: 1, timescaleHz: 1, earliestTicks: 0, gapBytes: 0, segments: tooMany })
  assert.throws(written, { code: 'LIMIT_EXCEEDED' })
})
