import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { assertGrowing } from '../support/growing.ts'
import { HlsFollower } from '../support/hls-follower.ts'
import { countFrames, onlyTrack } from '../support/peers/play-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { videoSampleTimes } from '../support/recorded-samples.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher, type MaterialUnit } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const frameTicks = 3600
const frames = 150
const hour = 3600 * 90_000

type Material = {
  readonly plain: readonly MaterialUnit[]
  readonly reordered: readonly MaterialUnit[]
  readonly larger: readonly MaterialUnit[]
}
type Case = {
  readonly name: string
  readonly of: (material: Material) => readonly MaterialUnit[]
  /** What the count of jumps must be at least, and at most. */
  readonly jumps: readonly [least: number, most: number]
  /** Units are sent in the order of their presentation, each later than the one before. */
  readonly isInOrder: boolean
  readonly sizes?: readonly string[]
  /** Files: a new one begins where the picture changes. */
  readonly files?: number
}

/** Material again and again to the full length, with timestamps that go on as they should. */
function whole(material: readonly MaterialUnit[]): MaterialUnit[] {
  return Array.from({ length: frames }, (_, index) => {
    const unit = material[index % material.length]
    assert.ok(unit)
    return { ...unit, ptsTicks: unit.ptsTicks + Math.floor(index / material.length) * material.length * frameTicks }
  })
}

/** Moves timestamps; `index` counts units as they are sent. */
function shifted(units: readonly MaterialUnit[], byTicks: (index: number) => number): MaterialUnit[] {
  return units.map((unit, index) => ({ ...unit, ptsTicks: unit.ptsTicks + byTicks(index) }))
}

const jumpOf = (ticks: number) => (index: number) => (index >= 70 ? ticks : 0)
const strays = new Map([
  [40, 3 * hour],
  [75, -2 * hour],
  [110, 5 * hour],
])

const cases: readonly Case[] = [
  {
    name: 'the wrap of the RTP timestamp',
    of: ({ plain }) => shifted(whole(plain), () => 2 ** 32 - 75 * frameTicks),
    jumps: [0, 0],
    isInOrder: true,
  },
  {
    name: 'single timestamps hours away',
    of: ({ plain }) => shifted(whole(plain), (index) => strays.get(index) ?? 0),
    jumps: [3, 6],
    isInOrder: true,
  },
  {
    name: 'a jump of 9800 s forward',
    of: ({ plain }) => shifted(whole(plain), jumpOf(9800 * 90_000)),
    jumps: [1, 3],
    isInOrder: true,
  },
  {
    name: 'a jump of 9800 s back',
    of: ({ plain }) => shifted(whole(plain), jumpOf(-9800 * 90_000)),
    jumps: [1, 3],
    isInOrder: true,
  },
  {
    name: 'equal timestamps',
    of: ({ plain }) => shifted(whole(plain), (index) => (index % 3 === 2 ? -frameTicks : 0)),
    jumps: [0, 0],
    isInOrder: false,
  },
  {
    name: 'B-frames, and the wrap',
    of: ({ reordered }) => shifted(whole(reordered), () => 2 ** 32 - 75 * frameTicks),
    jumps: [0, 0],
    isInOrder: false,
  },
  {
    name: 'B-frames, and a jump back',
    of: ({ reordered }) => shifted(whole(reordered), jumpOf(-9800 * 90_000)),
    jumps: [1, 6],
    isInOrder: false,
  },
  {
    name: 'another SPS in mid-stream',
    of: ({ plain, larger }) => [...whole(plain).slice(0, 75), ...shifted(whole(larger), () => 75 * frameTicks).slice(0, 75)],
    jumps: [0, 0],
    isInOrder: true,
    sizes: ['320x180', '480x270'],
    files: 2,
  },
]

suite('timestamps that no camera should send', { concurrency: 4 }, () => {
  let millrace: Millrace
  let material: Material
  const stack = new AsyncDisposableStack()

  before(async () => {
    millrace = stack.use(await startMillrace({ config: '[streamDefaults]\nhls = "always"\nrecording.enabled = true\n' }))
    const common = { gopFrames: 25, seconds: 1 }
    const [plain, reordered, larger] = await Promise.all([
      makeMaterial(millrace, { ...common, video: 'h264' }),
      makeMaterial(millrace, { ...common, video: 'h264-bframes' }),
      makeMaterial(millrace, { ...common, video: 'h264', size: { width: 480, height: 270 } }),
    ])
    material = { plain, reordered, larger }
  })
  after(() => stack.disposeAsync())

  for (const [index, tried] of cases.entries()) {
    test(`survived: ${tried.name}`, async (t) => {
      showOutputOnFailure(t, millrace)
      const stream = `torture-${index}`
      const api = new TestApi(millrace)
      const units = tried.of(material)
      const { reader, jumps, hlsSeconds } = await relay(millrace, stream, units)

      assert.deepEqual(
        reader.units.map(({ data }) => data.length),
        units.map(({ data }) => data.length),
      )
      assert.equal(reader.damagedUnits, 0)
      const ticks = reader.units.map((unit) => unit.ticks)
      // RTP carries presentation times; those of decoding are in the recording, and checked there.
      if (tried.isInOrder) assertGrowing(ticks, 'RTP timestamps')
      const seconds = (Math.max(...ticks) - Math.min(...ticks)) / 90_000
      t.diagnostic(`${jumps} jumps; ${seconds.toFixed(2)} s at the reader, ${hlsSeconds.toFixed(2)} s over HLS`)
      assert.ok(jumps >= tried.jumps[0] && jumps <= tried.jumps[1], `${jumps} jumps`)
      assert.ok(Math.abs(seconds - (frames - 1) / 25) < 0.3, `${seconds} s at the reader`)
      assert.ok(Math.abs(hlsSeconds - frames / 25) < 0.3, `${hlsSeconds} s over HLS`)
      await checkRecordings(millrace, api, { stream, sizes: tried.sizes ?? ['320x180'], files: tried.files ?? 1 })
    })
  }
})

/** Publishes the units in real time with a reader and an HLS player at the other end; then stops the recording. */
async function relay(
  millrace: Millrace,
  stream: string,
  units: readonly MaterialUnit[],
): Promise<{ reader: UnitReader; jumps: number; hlsSeconds: number }> {
  const api = new TestApi(millrace)
  const [first, ...others] = units
  assert.ok(first)
  await using publisher = await UnitPublisher.open(millrace, stream, first.track)
  publisher.send(first)
  await api.untilState(stream, 'online')
  await using reader = await UnitReader.play(millrace, stream)
  await using hls = new HlsFollower(`${millrace.url}/hls/${stream}`)
  await publisher.play(others)
  await until(() => reader.units.length === units.length, { what: `${units.length} units at the reader` })
  const { state, health, recording } = await api.stream(stream)
  assert.deepEqual([state, recording.state, health.outages, health.lostPackets], ['online', 'recording', 0, 0])
  // What is pending is cut when the publisher goes.
  await publisher[Symbol.asyncDispose]()
  await api.untilState(stream, 'offline')
  await api.act(stream, 'recording/stop')
  await until(() => hls.totalSeconds > units.length / 25 - 0.3, { what: 'the HLS window to have the end' })
  assertGrowing(hls.sequences, 'media sequence numbers')
  return { reader, jumps: health.timestampJumps, hlsSeconds: hls.totalSeconds }
}

/** Every recorded frame decodes, decode times grow, and nothing is missing. */
async function checkRecordings(
  millrace: Millrace,
  api: TestApi,
  { stream, sizes, files }: { stream: string; sizes: readonly string[]; files: number },
): Promise<void> {
  const recordings = await until(
    async () => {
      const found = await api.recordings(stream)
      return found.length === files && found.every(({ state }) => state === 'closed') ? found : undefined
    },
    { what: `${files} closed files` },
  )
  const times: number[] = []
  const seen: string[] = []
  for (const { id } of recordings.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))) {
    const path = join(millrace.directory, `${id}.mp4`)
    await writeFile(path, await api.bytes(`/recordings/${id}/media.mp4`))
    times.push(...(await videoSampleTimes(path)))
    const video = onlyTrack(await countFrames(path), 'video')
    assert.equal(video.decodeErrors, 0)
    assert.equal(video.frames, video.packets)
    seen.push(...video.sizes)
  }
  assertGrowing(times, 'recorded decode times')
  assert.equal(times.length, frames)
  assert.deepEqual(seen, sizes)
}
