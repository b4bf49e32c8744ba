import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audioTrack, videoTrack } from '../../../test/support/media.ts'
import type { Track } from '../media/track.ts'
import { fragmentSamples } from './fragment-index.ts'
import { type FragmentSample, type TrackFragment, writeFragment } from './fragment.ts'
import { trackIdAt, writeInitSegment } from './init-segment.ts'
import { type MediaRange, ProgressiveBuilder } from './progressive.ts'
import { readProgressive } from './progressive.fixture.ts'
import { readBoxHeader } from './read-boxes.ts'
import { type MovieInit, readInit } from './read-init.ts'

type Piece = { readonly init: MovieInit; readonly file: Buffer }

function piece(tracks: readonly Track[], runs: readonly Omit<TrackFragment, 'trackId' | 'kind'>[]): Piece {
  const init = readInit(writeInitSegment(tracks))
  const fragments = runs.map((run, i) => ({ ...run, trackId: trackIdAt(i), kind: tracks[i]?.kind ?? ('video' as const) }))
  return { init, file: Buffer.concat(writeFragment(1, fragments).chunks) }
}

function frames(
  count: number,
  { durationTicks, fill, cto = 0 }: { durationTicks: number; fill: number; cto?: number },
): FragmentSample[] {
  return Array.from({ length: count }, (_, i) => ({
    data: Buffer.alloc(20 + i, fill + i),
    durationTicks,
    compositionOffsetTicks: cto,
    isKeyframe: i === 0,
  }))
}

function build(pieces: readonly (Piece & { spanSeconds?: number })[]): ReturnType<typeof readProgressive> {
  const builder = new ProgressiveBuilder()
  const media: Buffer[] = []
  for (const { init, file, spanSeconds } of pieces) {
    builder.useInit(init)
    if (spanSeconds !== undefined) builder.beginSpan(spanSeconds)
    const moof = file.subarray(0, readBoxHeader(file, 0).sizeBytes)
    const ranges: MediaRange[] = fragmentSamples(moof, 0, init).flatMap((track) => builder.add(track))
    for (const { offset, sizeBytes } of ranges) media.push(file.subarray(offset, offset + sizeBytes))
  }
  const { head, mediaBytes } = builder.finish()
  const file = Buffer.concat([head, ...media])
  assert.equal(file.length, head.length + mediaBytes)
  return readProgressive(file)
}

test('picture and sound come back sample by sample, starting at zero, sound as late as it was', () => {
  const video = { decodeTicks: 900_000, samples: frames(5, { durationTicks: 3600, fill: 1, cto: 7200 }) }
  const audio = { decodeTicks: 48_000 * 10 + 4800, samples: frames(3, { durationTicks: 1024, fill: 100 }) }
  const [picture, sound] = build([{ ...piece([videoTrack, audioTrack], [video, audio]), spanSeconds: 10 }])
  assert.ok(picture && sound)
  assert.deepEqual(
    picture.samples.map((s) => [s.dtsTicks, s.ctoTicks, s.isKeyframe, s.data]),
    video.samples.map((s, i) => [i * 3600, 7200, i === 0, s.data]),
  )
  assert.deepEqual(
    sound.samples.map((s) => [s.dtsTicks, s.data]),
    audio.samples.map((s, i) => [i * 1024, s.data]),
  )
  assert.deepEqual([picture.handler, picture.timescaleHz, sound.handler, sound.timescaleHz], ['vide', 90_000, 'soun', 48_000])
  // First picture is shown at 10.08 s, first sound at 10.1 s.
  assert.deepEqual(picture.edits, [{ durationTicks: 120, mediaTime: 7200 }])
  assert.deepEqual(sound.edits, [
    { durationTicks: 20, mediaTime: -1 },
    { durationTicks: 64, mediaTime: 0 },
  ])
})

test('spans are closed up, all tracks together', () => {
  const at = (seconds: number, fill: number): Piece =>
    piece(
      [videoTrack, audioTrack],
      [
        { decodeTicks: seconds * 90_000, samples: frames(2, { durationTicks: 3600, fill }) },
        { decodeTicks: seconds * 48_000 + 480, samples: frames(3, { durationTicks: 1024, fill: fill + 50 }) },
      ],
    )
  const [picture, sound] = build([
    { ...at(10, 1), spanSeconds: 10 },
    { ...at(5000, 9), spanSeconds: 5000 },
  ])
  assert.ok(picture && sound)
  // The first span ends with 10 + 64 ms of sound, 80 ms of picture: the next begins at 80 ms.
  assert.deepEqual(
    picture.samples.map(({ dtsTicks }) => dtsTicks),
    [0, 3600, 7200, 10_800],
  )
  assert.deepEqual(
    sound.samples.map(({ dtsTicks }) => dtsTicks),
    [0, 1024, 2048, 3840, 4864, 5888],
  )
})

test('other parameters become one more sample description, and the same ones again do not', () => {
  const other: Track = {
    ...videoTrack,
    parameters: { ...videoTrack.parameters, codec: 'h264', sps: h264Sps(), pps: Buffer.from('68ebe3cb22c1', 'hex') },
  }
  const at = (seconds: number, track: Track): Piece & { spanSeconds: number } => ({
    ...piece([track], [{ decodeTicks: seconds * 90_000, samples: frames(2, { durationTicks: 3600, fill: 1 }) }]),
    spanSeconds: seconds,
  })
  const [picture] = build([at(1, videoTrack), at(2, other), at(3, videoTrack)])
  assert.ok(picture)
  assert.equal(picture.entries, 2)
  assert.deepEqual(
    picture.samples.map(({ entryIndex }) => entryIndex),
    [1, 1, 2, 2, 1, 1],
  )
})

test('a track with another clock is counted in that of the first', () => {
  const slow: Track = { ...audioTrack, clockRateHz: 24_000 }
  const [sound] = build([
    { ...piece([audioTrack], [{ decodeTicks: 48_000, samples: frames(2, { durationTicks: 1024, fill: 1 }) }]), spanSeconds: 1 },
    { ...piece([slow], [{ decodeTicks: 24_000 * 9, samples: frames(2, { durationTicks: 512, fill: 1 }) }]), spanSeconds: 9 },
  ])
  assert.ok(sound)
  assert.deepEqual(
    sound.samples.map(({ dtsTicks }) => dtsTicks),
    [0, 1024, 2048, 3072],
  )
})

function h264Sps(): Buffer {
  return videoTrack.parameters.codec === 'h264' ? videoTrack.parameters.sps : Buffer.alloc(0)
}
