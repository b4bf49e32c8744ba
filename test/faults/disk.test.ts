import assert from 'node:assert/strict'
import { appendFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { EventMessage } from '#api/contract.ts'
import { HlsFollower } from '../support/hls-follower.ts'
import { countFrames, onlyTrack } from '../support/peers/play-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher, type MaterialUnit } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const name = 'site/gate'
const diskMegabytes = 24
const floorMegabytes = 8
const deletions = 4
/** 100 pictures a second of 720p, about 3 MB/s: a file of 2 s has 6 MB. */
const frameMs = 10
const stream = `[streams."${name}"]\nhls = "always"\nrecording = { enabled = true, segmentSeconds = 2 }\n`

test('a disk that fills up loses the oldest recordings, and one that is full stops nothing but recording', async (t) => {
  await using disk = await mountSmallDisk(diskMegabytes)
  if (!disk) return t.skip('no right to mount a small disk; recordings.maxMegabytes is tested below')
  const recordings = `[recordings]\ndirectory = "${disk.path}"\nminFreeMegabytes = ${floorMegabytes}\n`
  await using millrace = await startMillrace({ config: recordings + stream })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeLargeMaterial(millrace)
  const [first] = material
  assert.ok(first)
  await using publisher = await UnitPublisher.open(millrace, name, first.track)
  publisher.send({ ...first, ptsTicks: 0 })
  await api.untilState(name, 'online')
  await using reader = await UnitReader.play(millrace, name)
  await using hls = new HlsFollower(`${millrace.url}/hls/${name}`)
  publisher.loop(material, { frameMs, from: 1 })

  await untilEvents(api, 'recording.deleted', deletions)
  await checkOldestFirst(api, 'free-space')
  assert.deepEqual(await api.events({ type: 'recording.failed', subject: name }), [], 'space is made before it is needed')
  assert.equal((await api.timeline(name)).length, 1, 'what is left has no gap')
  await checkExport(millrace, api)

  const ballast = join(disk.path, 'ballast')
  const isLost = async (): Promise<boolean> => {
    await takeSpace(disk.path, ballast)
    return (await api.recordings(name)).length === 0 && (await api.stream(name)).recording.state === 'failed'
  }
  await until(isLost, { what: 'somebody else to have taken all space, also that of what could be deleted', timeoutMs: 30_000 })
  const [failed] = await api.events({ type: 'recording.failed', subject: name })
  assert.equal(failed?.data['code'], 'DISK_FULL')
  await goesOn(reader, hls)
  assert.match((await api.stream(name)).recording.error ?? '', /^DISK_FULL: /)

  const failures = (await api.events({ type: 'recording.recovered', subject: name })).length
  await rm(ballast)
  const recovered = (await untilEvents(api, 'recording.recovered', failures + 1)).at(-1)
  await api.untilStream(name, 'to record again', (view) => view.recording.state === 'recording')
  t.diagnostic(`failed for ${String(recovered?.data['failedMs'])} ms, ${String(recovered?.data['droppedParts'])} parts left out`)
  const { length } = await api.events({ type: 'recording.segment-closed', subject: name })
  await untilEvents(api, 'recording.segment-closed', length + 1)
  await checkExport(millrace, api)
  await goesOn(reader, hls)
  assert.deepEqual([reader.damagedUnits, reader.units.filter(({ isAfterGap }) => isAfterGap).length], [0, 0])
  assert.equal((await api.stream(name)).health.outages, 0)
})

test('recordings above their limit lose the oldest', async (t) => {
  await using millrace = await startMillrace({ config: `[recordings]\nminFreeMegabytes = 0\nmaxMegabytes = 8\n${stream}` })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeLargeMaterial(millrace)
  const [first] = material
  assert.ok(first)
  await using publisher = await UnitPublisher.open(millrace, name, first.track)
  publisher.loop(material, { frameMs })
  await untilEvents(api, 'recording.segment-closed', 4)
  const recorded = (await api.recordings(name)).map(({ id }) => id)
  // Retention runs at the start, and each minute.
  await millrace.restart()
  await untilEvents(api, 'recording.deleted', 1)
  const left = await until(
    async () => {
      const now = await api.recordings(name)
      return now.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= 8e6 ? now : undefined
    },
    { what: 'recordings of at most 8 MB' },
  )
  const ids = left.map(({ id }) => id)
  assert.ok(ids.length > 0 && ids.length < recorded.length)
  for (const { data } of await api.events({ type: 'recording.deleted' })) {
    assert.equal(data['reason'], 'size')
    assert.ok(
      ids.every((id) => id > String(data['segmentId'])),
      'all that is left is newer',
    )
  }
  await checkExport(millrace, api)
})

function makeLargeMaterial(millrace: Millrace): Promise<readonly MaterialUnit[]> {
  return makeMaterial(millrace, { video: 'h264', size: { width: 1280, height: 720 }, gopFrames: 25, seconds: 2 })
}

function untilEvents(api: TestApi, type: string, count: number): Promise<readonly EventMessage[]> {
  const look = async (): Promise<readonly EventMessage[] | undefined> => {
    const events = await api.events({ type, subject: name })
    return events.length >= count ? events : undefined
  }
  return until(look, { what: `${count} × ${type}`, timeoutMs: 60_000 })
}

/** What was deleted are the files that were closed first. */
async function checkOldestFirst(api: TestApi, reason: string): Promise<void> {
  const deleted = await api.events({ type: 'recording.deleted', subject: name })
  const closed = await api.events({ type: 'recording.segment-closed', subject: name })
  assert.deepEqual(
    deleted.map(({ data }) => [data['segmentId'], data['reason']]),
    closed.slice(0, deleted.length).map(({ data }) => [data['segmentId'], reason]),
  )
}

/** Takes what space there is; the recorder may be faster, which is as good. */
async function takeSpace(path: string, file: string): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  await appendFile(file, Buffer.alloc(bavail * bsize)).catch((error: unknown) => {
    assert.match(String(error), /ENOSPC/)
  })
}

async function checkExport(millrace: Millrace, api: TestApi): Promise<void> {
  const path = join(millrace.directory, 'export.mp4')
  await writeFile(path, await api.bytes(`/streams/${encodeURIComponent(name)}/export.mp4`))
  const video = onlyTrack(await countFrames(path), 'video')
  assert.ok(video.frames > 0)
  assert.deepEqual([video.decodeErrors, video.corruptPackets], [0, 0])
}

async function goesOn(reader: UnitReader, hls: HlsFollower): Promise<void> {
  const wanted = reader.units.length + 50
  await until(() => reader.units.length >= wanted, { what: 'the reader to go on' })
  await hls.untilMore(1)
}
