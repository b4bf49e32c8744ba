import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MediaTimeline } from './media-timeline.ts'

const ntpMs = Date.UTC(2026, 0, 1)

test('the first track leads from 0, another one is put where it arrives', () => {
  const timeline = new MediaTimeline()
  const video = timeline.addTrack(90_000)
  const audio = timeline.addTrack(48_000)
  assert.equal(video.place(0xffff_0000, 1000), 0)
  video.anchor(0, 1000)
  assert.equal(video.place(0xffff_0000 + 3600, 1040), 3600)
  video.anchor(3600, 1040)
  assert.equal(audio.place(123, 1050), (50 * 48_000) / 1000)
  assert.equal(audio.place(123 + 1024, 1071), (50 * 48_000) / 1000 + 1024)
})

test('timestamps are unwrapped, also backward and over several wraps', () => {
  const track = new MediaTimeline().addTrack(90_000)
  const start = 0xffff_ff00
  assert.equal(track.place(start, 0), 0)
  assert.equal(track.place(0x100, 1), 0x200)
  assert.equal(track.place(start, 2), 0)
  let expected = 0
  for (let step = 1; step <= 16; step++) {
    expected += 2 ** 30
    assert.equal(track.place((start + expected) % 2 ** 32, step), expected)
  }
})

test('jumps pass through', () => {
  const track = new MediaTimeline().addTrack(90_000)
  track.place(1_000_000_000, 0)
  assert.equal(track.place(1_000_003_600, 40), 3600)
  assert.equal(track.place(1_324_003_600, 80), 324_003_600)
  assert.equal(track.place(1_000_010_800, 120), 10_800)
})

test('tracks move slowly towards what sender reports say', () => {
  const timeline = new MediaTimeline()
  const video = timeline.addTrack(90_000)
  const audio = timeline.addTrack(48_000)
  video.place(0, 0)
  // The audio of the same moment arrives 30 ms later.
  const late = audio.place(0, 30)
  assert.equal(late, 1440)
  video.senderReport(ntpMs, 0)
  audio.senderReport(ntpMs, 0)
  let last = late
  for (let unit = 1; unit <= 40; unit++) {
    const ptsTicks = audio.place(unit * 1024, 30 + unit * 21)
    assert.ok(Math.abs(ptsTicks - last - 1024) <= 96, 'at most 2 ms a unit')
    last = ptsTicks
  }
  assert.equal(last, 40 * 1024)
  assert.equal(timeline.correctedMs, 30)
  assert.equal(video.place(3600, 900), 3600)
})

test('a track that comes after the sender reports is in step at once', () => {
  const timeline = new MediaTimeline()
  const video = timeline.addTrack(90_000)
  const audio = timeline.addTrack(48_000)
  audio.senderReport(ntpMs + 100, 4800)
  video.senderReport(ntpMs, 0)
  video.place(0, 0)
  assert.equal(audio.place(9600, 500), 9600)
})

test('sender reports that cannot be true are left aside', () => {
  const timeline = new MediaTimeline()
  const video = timeline.addTrack(90_000)
  const audio = timeline.addTrack(48_000)
  video.place(0, 0)
  audio.place(0, 0)
  video.senderReport(ntpMs, 0)
  audio.senderReport(0, 0)
  assert.equal(audio.place(1024, 21), 1024)
  assert.equal(timeline.correctedMs, 0)
})

test('another sender goes on where time has come to', () => {
  const timeline = new MediaTimeline()
  const video = timeline.addTrack(90_000)
  video.place(5, 0)
  video.anchor(0, 0)
  video.place(3605, 40)
  video.anchor(3600, 40)
  video.restart()
  assert.equal(video.place(3_000_000_000, 140), 12_600)
})
