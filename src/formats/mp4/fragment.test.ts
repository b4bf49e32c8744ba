import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TrackFragment, writeFragment } from './fragment.ts'
import { boxAt, walkBoxes, walkFragments } from './strict-walker.fixture.ts'

/** A fragment as it goes to the disk. */
function fragmentOf(sequenceNumber: number, tracks: readonly TrackFragment[]): Buffer {
  const { chunks, sizeBytes } = writeFragment(sequenceNumber, tracks)
  const bytes = Buffer.concat(chunks)
  assert.equal(bytes.length, sizeBytes)
  return bytes
}

const keyframe = { data: Buffer.from('aabbcc', 'hex'), durationTicks: 3600, compositionOffsetTicks: 7200, isKeyframe: true }
const second = { data: Buffer.from('dd', 'hex'), durationTicks: 3600, compositionOffsetTicks: 0, isKeyframe: false }
const sound = { data: Buffer.from('0102', 'hex'), durationTicks: 1024, compositionOffsetTicks: 0, isKeyframe: true }

test('a fragment is written byte for byte as the standard has it', () => {
  const bytes = fragmentOf(7, [{ trackId: 1, kind: 'video', decodeTicks: 2 ** 33 + 5, samples: [keyframe, second] }])
  const expected = [
    '00000078 6d6f6f66', // moof
    '00000010 6d666864 00000000 00000007', // mfhd: sequence_number
    '00000060 74726166', // traf
    '00000010 74666864 00020000 00000001', // tfhd: default-base-is-moof, track_ID
    '00000014 74666474 01000000 0000000200000005', // tfdt: baseMediaDecodeTime
    '00000034 7472756e 01000f01 00000002 00000080', // trun: flags, sample_count, data_offset
    '00000e10 00000003 02000000 00001c20', // duration, size, flags, composition offset
    '00000e10 00000001 01010000 00000000',
    '0000000c 6d646174 aabbccdd', // mdat
  ]
  assert.equal(bytes.toString('hex'), expected.join('').replaceAll(' ', ''))
})

test('data offsets of several tracks point at their samples, which are not copied', () => {
  const { chunks } = writeFragment(1, [
    { trackId: 1, kind: 'video', decodeTicks: 0, samples: [keyframe, second] },
    { trackId: 2, kind: 'audio', decodeTicks: 48, samples: [sound, sound] },
  ])
  assert.equal(chunks[1], keyframe.data)
  assert.deepEqual(walkFragments(Buffer.concat(chunks)), [
    {
      sequence: 1,
      tracks: [
        { trackId: 1, decodeTicks: 0, samples: [keyframe, second] },
        { trackId: 2, decodeTicks: 48, samples: [sound, sound] },
      ],
    },
  ])
})

test('composition offsets may be negative', () => {
  const bytes = fragmentOf(1, [
    { trackId: 1, kind: 'video', decodeTicks: 0, samples: [{ ...second, compositionOffsetTicks: -90 }] },
  ])
  assert.equal(walkFragments(bytes)[0]?.tracks[0]?.samples[0]?.compositionOffsetTicks, -90)
})

test('the sequence number wraps at 32 bits', () => {
  const bytes = fragmentOf(2 ** 32 + 1, [{ trackId: 1, kind: 'audio', decodeTicks: 0, samples: [sound] }])
  assert.equal(boxAt(walkBoxes(bytes), 'moof', 'mfhd').body.readUInt32BE(4), 1)
})
