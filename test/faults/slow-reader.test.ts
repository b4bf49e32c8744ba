import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReaderView } from '#api/contract.ts'
import { assertGrowing } from '../support/growing.ts'
import { showOutputOnFailure, startMillrace } from '../support/program.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const name = 'site/gate'
const queueMegabytes = 2
/** How often the slow reader is cut before the test ends. */
const drops = 3
/** 200 pictures a second of 720p: about 50 Mbit/s, so that minutes of a camera go through in seconds. */
const frameMs = 5
/** What the process may grow by: the queue, and garbage that is not yet collected. The slow reader misses half as much again. */
const maxGrowthMegabytes = queueMegabytes + 68

test('a reader at a tenth of the bandwidth loses whole groups of pictures and harms nobody', async (t) => {
  const config = `[live]\nreaderQueueMegabytes = ${queueMegabytes}\n[streams."${name}"]\nhls = "off"\n`
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', size: { width: 1280, height: 720 }, gopFrames: 25, seconds: 2 })
  const [first] = material
  assert.ok(first)
  await using publisher = await UnitPublisher.open(millrace, name, first.track)
  publisher.send(first)
  await api.untilState(name, 'online')
  await using normal = await UnitReader.play(millrace, name)
  await using slow = await UnitReader.play(millrace, name)
  publisher.loop(material, { frameMs, from: 1 })
  await until(() => normal.client.receivedBytes > 30e6, { what: 'the program to be warm' })
  const before = await api.status()

  keepAtTenth(slow, normal)
  const id = await idOf(api, slow)
  const queued: number[] = []
  await until(
    async () => {
      queued.push((await findReader(api, slow))?.queuedBytes ?? 0)
      const hasMissedEnough = normal.client.receivedBytes - slow.client.receivedBytes > 1.5e6 * maxGrowthMegabytes
      return hasMissedEnough && (await api.events({ type: 'reader.dropped', subject: name })).length >= drops
    },
    { what: `${drops} drops`, timeoutMs: 60_000 },
  )
  await until(() => slow.units.filter(({ isAfterGap }) => isAfterGap).length >= drops, {
    what: 'the slow reader to see them',
    timeoutMs: 60_000,
  })
  const grownMegabytes = async (): Promise<number> =>
    ((await api.status()).process.memoryBytes - before.process.memoryBytes) / 1e6
  // Garbage comes and goes; what the reader misses would stay.
  let growthMegabytes = Infinity
  await until(async () => (growthMegabytes = await grownMegabytes()) < maxGrowthMegabytes, {
    what: `the process to have grown by less than ${maxGrowthMegabytes} MB`,
    timeoutMs: 30_000,
  })
  const { droppedUnits = 0 } = (await findReader(api, slow)) ?? {}
  publisher.fallSilent()
  await until(() => normal.units.length === publisher.sentUnits, { what: 'the normal reader to have everything' })

  checkNormal(normal)
  checkSlow(slow, normal)
  const events = await api.events({ type: 'reader.dropped', subject: name })
  for (const { data } of events) assert.deepEqual([data['readerId'], data['protocol']], [id, 'rtsp'])
  const reported = events.reduce((sum, { data }) => sum + Number(data['droppedUnits']), 0)
  assert.ok(droppedUnits >= reported && reported > 0, `${droppedUnits} dropped, ${reported} reported`)
  assert.ok((await findReader(api, normal))?.droppedUnits === 0)
  assert.equal((await api.stream(name)).health.droppedUnits >= reported, true)

  const largestGop = Math.max(...material.map(({ data }) => data.length)) * 25
  t.diagnostic(
    `normal ${(normal.client.receivedBytes / 1e6).toFixed(0)} MB, slow ${(slow.client.receivedBytes / 1e6).toFixed(0)} MB; ` +
      `${reported} units dropped; queue up to ${(Math.max(...queued) / 1e6).toFixed(1)} MB; process grew by ${growthMegabytes.toFixed(1)} MB`,
  )
  assert.ok(Math.max(...queued) <= queueMegabytes * 1e6 + largestGop)
})

/** Lets one reader take bytes only while it has less than a tenth of what the other has taken from now on. */
function keepAtTenth(slow: UnitReader, normal: UnitReader): void {
  const zero = { slow: slow.client.receivedBytes, normal: normal.client.receivedBytes }
  const isAhead = (): boolean => (slow.client.receivedBytes - zero.slow) * 10 > normal.client.receivedBytes - zero.normal
  slow.client.onBytes = () => {
    if (isAhead()) slow.client.stopReading()
  }
  normal.client.onBytes = () => {
    if (!isAhead()) slow.client.resumeReading()
  }
}

async function findReader(api: TestApi, { client }: UnitReader): Promise<ReaderView | undefined> {
  return (await api.readers(name)).find(({ remoteAddress }) => remoteAddress.endsWith(`:${client.localPort}`))
}

async function idOf(api: TestApi, reader: UnitReader): Promise<string> {
  return (await until(() => findReader(api, reader), { what: 'the reader in the list' })).id
}

function checkNormal(normal: UnitReader): void {
  assert.equal(normal.damagedUnits, 0)
  assert.equal(normal.units.filter(({ isAfterGap }) => isAfterGap).length, 0)
}

/** What it got is what the other got, and starts with a keyframe behind each gap. */
function checkSlow(slow: UnitReader, normal: UnitReader): void {
  assert.equal(slow.damagedUnits, 0)
  const all = new Map(normal.units.map(({ ticks, data }) => [ticks, data]))
  for (const { ticks, data, isAfterGap, isKeyframe } of slow.units) {
    assert.ok(!isAfterGap || isKeyframe, 'a gap ends with a keyframe')
    assert.ok(all.get(ticks)?.equals(data), 'a unit is whole')
  }
  assertGrowing(
    slow.units.map(({ ticks }) => ticks),
    'RTP timestamps of the slow reader',
  )
}
