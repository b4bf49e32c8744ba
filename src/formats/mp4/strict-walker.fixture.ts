/** Takes MP4 apart for tests, with nothing forgiven: sizes must add up, and each byte of the media belongs to one sample. */
import assert from 'node:assert/strict'
import { Reader } from '#bytes/reader.ts'
import { sampleFlags } from './flags.ts'

export type WalkedBox = { type: string; offset: number; size: number; body: Buffer; children: WalkedBox[] }

export type WalkedSample = { data: Buffer; durationTicks: number; compositionOffsetTicks: number; isKeyframe: boolean }

export type WalkedTrack = { trackId: number; decodeTicks: number; samples: WalkedSample[] }

export type WalkedFragment = { sequence: number; tracks: WalkedTrack[] }

const containers = new Set(['moov', 'trak', 'mdia', 'minf', 'dinf', 'stbl', 'mvex', 'moof', 'traf'])

export function walkBoxes(bytes: Buffer): WalkedBox[] {
  const r = new Reader(bytes)
  const boxes: WalkedBox[] = []
  while (r.remaining > 0) {
    const offset = r.pos
    const size = r.u32()
    const type = r.ascii(4)
    assert.ok(size >= 8, `box ${type} has size ${size}`)
    const body = r.slice(size - 8)
    boxes.push({ type, offset, size, body, children: containers.has(type) ? walkBoxes(body) : [] })
  }
  return boxes
}

/** The only box at the end of a path of types. */
export function boxAt(boxes: readonly WalkedBox[], ...path: readonly string[]): WalkedBox {
  const [type, ...rest] = path
  const found = boxes.filter((box) => box.type === type)
  const [only] = found
  assert.ok(only && found.length === 1, `${found.length} boxes of type ${type}`)
  return rest.length === 0 ? only : boxAt(only.children, ...rest)
}

/** Fragments as `moof` + `mdat` pairs and nothing else. */
export function walkFragments(bytes: Buffer): WalkedFragment[] {
  const boxes = walkBoxes(bytes)
  assert.equal(boxes.length % 2, 0)
  const fragments: WalkedFragment[] = []
  for (let i = 0; i < boxes.length; i += 2) {
    const [moof, mdat] = boxes.slice(i, i + 2)
    assert.ok(moof?.type === 'moof' && mdat?.type === 'mdat')
    fragments.push(walkFragment(bytes, moof, mdat))
  }
  return fragments
}

function walkFragment(bytes: Buffer, moof: WalkedBox, mdat: WalkedBox): WalkedFragment {
  const tracks: WalkedTrack[] = []
  let expectedAt = mdat.offset + 8
  for (const traf of moof.children.filter((box) => box.type === 'traf')) {
    const { track, startsAt, endsAt } = walkTrack(bytes, moof.offset, traf)
    assert.equal(startsAt, expectedAt, 'the run starts where the one before ends')
    expectedAt = endsAt
    tracks.push(track)
  }
  assert.equal(expectedAt, mdat.offset + mdat.size, 'the samples fill the mdat')
  return { sequence: boxAt([moof], 'moof', 'mfhd').body.readUInt32BE(4), tracks }
}

function walkTrack(bytes: Buffer, moofAt: number, traf: WalkedBox): { track: WalkedTrack; startsAt: number; endsAt: number } {
  const tfhd = boxAt([traf], 'traf', 'tfhd').body
  assert.equal(tfhd.readUInt32BE(0), 0x02_0000, 'default-base-is-moof and no other flag')
  const tfdt = boxAt([traf], 'traf', 'tfdt').body
  assert.equal(tfdt.readUInt8(0), 1, 'tfdt version')
  const trun = new Reader(boxAt([traf], 'traf', 'trun').body)
  assert.equal(trun.u8(), 1, 'trun version')
  const flags = trun.u24()
  const isVideo = flags === 0xf01
  assert.ok(isVideo || flags === 0x301, `trun flags ${flags.toString(16)}`)
  const count = trun.u32()
  const startsAt = moofAt + trun.i32()
  let at = startsAt
  const samples: WalkedSample[] = []
  for (let i = 0; i < count; i++) {
    const durationTicks = trun.u32()
    const size = trun.u32()
    const isKeyframe = !isVideo || trun.u32() === sampleFlags.sync
    const compositionOffsetTicks = isVideo ? trun.i32() : 0
    samples.push({ data: bytes.subarray(at, at + size), durationTicks, compositionOffsetTicks, isKeyframe })
    at += size
  }
  assert.equal(trun.remaining, 0)
  const track = { trackId: tfhd.readUInt32BE(4), decodeTicks: Number(tfdt.readBigUInt64BE(4)), samples }
  return { track, startsAt, endsAt: at }
}
