import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { countFrames, onlyTrack } from '../support/peers/play-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher } from '../support/unit-publisher.ts'
import { until } from '../support/until.ts'

const name = 'site/gate'
const config = `
[recordings]
minFreeMegabytes = 0
maxMegabytes = 0.1

[streams."${name}"]
recording = { enabled = true, segmentSeconds = 2, archive = true }
`

test('a killed server goes on archiving, and what leaves its disk plays as before', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', size: { width: 640, height: 360 }, gopFrames: 25, seconds: 2 })
  const [first] = material
  assert.ok(first)
  {
    await using publisher = await UnitPublisher.open(millrace, name, first.track)
    publisher.loop(material, { frameMs: 10 })
    await until(async () => (await archivedOf(api)).length >= 1, { what: 'an archived file', timeoutMs: 30_000 })
  }
  const archived = await archivedOf(api)
  const played = await Promise.all(archived.map(({ id }) => mediaOf(millrace, id)))
  await millrace.kill()
  await millrace.start()
  const freed = await until(
    async () => {
      const all = await api.recordings(name)
      const isDone = all.every(({ archivedAt }) => archivedAt !== undefined) && all.some(({ isOnDisk }) => !isOnDisk)
      return isDone ? all.filter(({ isOnDisk }) => !isOnDisk) : undefined
    },
    { what: 'all to be archived' },
  )
  const [oldest] = freed
  assert.ok(oldest)
  assert.deepEqual(await Promise.all(archived.map(({ id }) => mediaOf(millrace, id))), played)
  const [stretch] = await api.timeline(name)
  assert.ok(stretch?.archivedUntil !== undefined && stretch.archivedUntil <= stretch.endedAt)
  const path = join(millrace.directory, 'export.mp4')
  await writeFile(path, await api.bytes(`/streams/${encodeURIComponent(name)}/export.mp4`))
  const video = onlyTrack(await countFrames(path), 'video')
  assert.ok(video.frames >= 25 * archived.length)
  assert.deepEqual([video.decodeErrors, video.corruptPackets], [0, 0])
  const metrics = await (await fetch(millrace.metricsUrl)).text()
  assert.match(metrics, /^millrace_recording_archive_failures_total 0$/m)
  assert.doesNotMatch(metrics, /^millrace_recording_archive_waiting_segments\{.*\} [^0]/m)
})

async function archivedOf(api: TestApi) {
  return (await api.recordings(name)).filter(({ archivedAt }) => archivedAt !== undefined)
}

async function mediaOf(millrace: Millrace, id: string): Promise<Buffer> {
  const response = await fetch(`${millrace.url}/api/v1/recordings/${id}/media.mp4`)
  assert.equal(response.status, 200)
  return Buffer.from(await response.arrayBuffer())
}
