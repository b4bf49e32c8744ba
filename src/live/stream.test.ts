import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { ManualClock } from '#lib/clock.ts'
import { audioTrack, h264Parameters, unitAt, video, videoTrack } from '../../test/support/media.ts'
import type { Drop, ReaderSink } from './reader.ts'
import { Stream } from './stream.ts'

const peer = { id: 'r1', protocol: 'rtsp', remoteAddress: '127.0.0.1:1' } as const
const limits = { maxBytes: 10_000, maxMs: 1000, maxReaders: 3 }

/** A sink that keeps what it gets; `drainBytesPerUnit` is how much of the queue leaves between two units. */
class TestSink implements ReaderSink {
  readonly units: AccessUnit[] = []
  readonly trackSets: (readonly Track[])[] = []
  ended: string | undefined
  bufferedBytes = 0
  peakBytes = 0
  #drainBytesPerUnit: number
  constructor(drainBytesPerUnit = Infinity) {
    this.#drainBytesPerUnit = drainBytesPerUnit
  }
  write(unit: AccessUnit): void {
    this.units.push(unit)
    this.bufferedBytes += unit.data.length
    this.peakBytes = Math.max(this.peakBytes, this.bufferedBytes)
    if (this.#drainBytesPerUnit === Infinity) this.bufferedBytes = 0
  }
  drain(): void {
    this.bufferedBytes = Math.max(0, this.bufferedBytes - this.#drainBytesPerUnit)
  }
  tracksChanged(tracks: readonly Track[]): void {
    this.trackSets.push(tracks)
  }
  end(reason: string): void {
    this.ended = reason
  }
}

function makeStream(): { stream: Stream; clock: ManualClock } {
  const clock = new ManualClock()
  return { stream: new Stream({ name: 'a', clock, limits }), clock }
}

function publish(stream: Stream, priority = 0, tracks: readonly Track[] = [videoTrack]): ReturnType<Stream['openPublication']> {
  const publication = stream.openPublication({ priority, label: `source ${priority}` })
  publication.start(tracks)
  return publication
}

const activePriority = (stream: Stream): number | undefined => stream.active?.priority

const dtsGrows = (units: readonly AccessUnit[]): boolean =>
  units.every((unit, i) => i === 0 || unit.dtsTicks > (units[i - 1]?.dtsTicks ?? 0))

test('a reader that comes late starts at once with the whole group of pictures', () => {
  const { stream } = makeStream()
  const publication = publish(stream)
  for (const unit of video({ frames: 40 })) publication.write(unit)
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  assert.equal(sink.units.length, 15)
  assert.equal(sink.units[0]?.isKeyframe, true)
})

test('readers stay while publishers come and go, and time only grows', () => {
  const { stream, clock } = makeStream()
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  for (const fromMs of [0, 5_000_000, 30]) {
    const publication = publish(stream)
    for (const unit of video({ fromMs, frames: 30 })) {
      publication.write(unit)
      clock.advance(40)
    }
    publication.close('gone')
    clock.advance(3000)
  }
  assert.equal(sink.units.length, 90)
  assert.ok(dtsGrows(sink.units))
  assert.equal(sink.ended, undefined)
  assert.deepEqual(sink.trackSets.length, 1)
})

test('a better publication takes over on its keyframe only', () => {
  const { stream } = makeStream()
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  const fallback = publish(stream, 1)
  for (const unit of video({ frames: 10 })) fallback.write(unit)
  const preferred = publish(stream, 0)
  preferred.write(unitAt(100))
  assert.equal(activePriority(stream), 1)
  preferred.write(unitAt(140, { isKeyframe: true }))
  assert.equal(activePriority(stream), 0)
  fallback.write(unitAt(400, { isKeyframe: true }))
  assert.equal(sink.units.length, 11)
  assert.ok(dtsGrows(sink.units))
  preferred.close('gone')
  fallback.write(unitAt(440, { isKeyframe: true }))
  assert.equal(activePriority(stream), 1)
})

test('a silent publication is replaced by a worse one, and takes its place back', () => {
  const { stream, clock } = makeStream()
  const preferred = publish(stream, 0)
  const spare = publish(stream, 1)
  preferred.write(unitAt(0, { isKeyframe: true }))
  clock.advance(1000)
  spare.write(unitAt(0, { isKeyframe: true }))
  assert.equal(activePriority(stream), 0)
  clock.advance(1001)
  spare.write(unitAt(1000, { isKeyframe: true }))
  assert.equal(activePriority(stream), 1)
  preferred.write(unitAt(2040))
  assert.equal(activePriority(stream), 1)
  preferred.write(unitAt(2080, { isKeyframe: true }))
  assert.equal(activePriority(stream), 0)
})

test('a slow reader loses stretches up to a keyframe, its queue stays bounded, and others lose nothing', () => {
  const { stream, clock } = makeStream()
  const drops: Drop[] = []
  stream.on('drop', (_, drop) => drops.push(drop))
  const slow = new TestSink(100)
  const fast = new TestSink()
  const handle = stream.addReader({ peer, sink: slow })
  stream.addReader({ peer: { ...peer, id: 'r2' }, sink: fast })
  const publication = publish(stream)
  for (const unit of video({ frames: 1000, sizeBytes: 1000 })) {
    publication.write(unit)
    clock.advance(40)
    slow.drain()
  }
  assert.equal(fast.units.length, 1000)
  assert.ok(slow.peakBytes <= limits.maxBytes + 1000)
  assert.ok(drops.length > 1)
  assert.equal(slow.units.length + handle.stats.droppedUnits, 1000)
  for (const [i, unit] of slow.units.entries()) {
    const before = slow.units[i - 1]
    if (before && unit.dtsTicks - before.dtsTicks > 3600) assert.ok(unit.isKeyframe)
  }
})

test('a reader that is late by time, not by bytes, is cut too', () => {
  const { stream, clock } = makeStream()
  const sink = new TestSink(0)
  const handle = stream.addReader({ peer, sink })
  const publication = publish(stream)
  for (const unit of video({ frames: 60, sizeBytes: 10 })) {
    publication.write(unit)
    clock.advance(40)
  }
  assert.ok(handle.stats.droppedUnits > 0)
})

test('new parameters in mid-stream travel with the units and keep the track', () => {
  const { stream } = makeStream()
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  const publication = publish(stream)
  publication.write(unitAt(0, { isKeyframe: true }))
  const changed = { ...videoTrack, parameters: { ...h264Parameters, pps: Buffer.from('68ee3c80', 'hex') } }
  publication.write(unitAt(40, { track: changed, isKeyframe: true }))
  assert.equal(sink.units[1]?.track.id, sink.units[0]?.track.id)
  assert.notEqual(sink.units[1]?.track, sink.units[0]?.track)
  assert.equal(stream.tracks[0], sink.units[1]?.track)
  assert.equal(sink.trackSets.length, 1)
})

test('another set of tracks is told to readers', () => {
  const { stream } = makeStream()
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  const first = publish(stream)
  first.write(unitAt(0, { isKeyframe: true }))
  first.close('gone')
  const second = publish(stream, 0, [videoTrack, audioTrack])
  second.write(unitAt(0, { isKeyframe: true }))
  assert.deepEqual(
    sink.trackSets.map((tracks) => tracks.map(({ id }) => id)),
    [[1], [1, 2]],
  )
})

test('sound alone needs no keyframe', () => {
  const { stream } = makeStream()
  const publication = publish(stream, 0, [audioTrack])
  publication.write(unitAt(0, { track: audioTrack }))
  const sink = new TestSink()
  stream.addReader({ peer, sink })
  publication.write(unitAt(20, { track: audioTrack }))
  assert.equal(sink.units.length, 1)
})

test('one reader too many is refused with a code', () => {
  const { stream } = makeStream()
  for (let i = 0; i < 3; i++) stream.addReader({ peer, sink: new TestSink() })
  assert.throws(() => stream.addReader({ peer, sink: new TestSink() }), { code: 'STREAM_LIMIT' })
})
