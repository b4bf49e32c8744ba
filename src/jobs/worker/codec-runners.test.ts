import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import type { TaskSpec } from '../worker-protocol.ts'
import { makeMp4 } from '../../../test/support/job-files.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { TestApi, type ApiTask } from './api.fixture.ts'
import { CodecProcesses } from './codec-processes.ts'
import { codecRunners, detectEncoders } from './codec-runners.ts'
import { silentLog, startWorker, videoEncoder } from './worker.fixture.ts'

const timeline = { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 100 }
const picture = { deinterlace: false, rotationDegrees: 0, width: 160, height: 90 } as const
const audio = { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false } as const
const source = 'source'
const processes = new CodecProcesses({ log: silentLog })
after(() => processes[Symbol.asyncDispose]())

async function outcomeOf(task: ApiTask): Promise<NonNullable<ApiTask['outcome']>> {
  await until(() => task.outcome ?? task.failure, { what: `task ${task.id} (${task.spec.kind})`, timeoutMs: 120_000 })
  if (!task.outcome) throw new Error(`task ${task.id} failed: ${task.failure?.code} ${task.failure?.message}`)
  return task.outcome
}

function chunkSpec(startFrame: number, endFrame: number): TaskSpec {
  const range = { startFrame, endFrame }
  const video = { ...videoEncoder, gopFrames: 25, preset: 'ultrafast' }
  return {
    kind: 'video',
    source,
    timeline,
    range,
    rolls: { stillFrames: 0, preRollFrames: 25, postRollFrames: 25 },
    picture,
    video,
  }
}

test('a whole job by real codec processes: probe, chunks, sound, pictures, package', async () => {
  await using directory = await temporaryDirectory()
  await using api = await TestApi.start()
  api.files.put('film', await readFile(await makeMp4(directory.path, { seconds: 4 })))
  const inputs = [{ name: source, key: 'film' }]
  await using _running = await startWorker({ urls: [api.url], runners: codecRunners(processes), slots: 2 })

  const probed = await outcomeOf(api.addTask({ kind: 'probe', source }, { inputs }))
  assert.ok(probed.output.kind === 'probe' && probed.output.probe.video?.frameCount === 100)

  const chunks = [chunkSpec(0, 50), chunkSpec(50, 100)].map((spec) => api.addTask(spec, { inputs }))
  const sound = api.addTask({ kind: 'audio', source, track: 0, startMs: 0, durationMs: 4000, audio }, { inputs })
  const tiles = { everyMs: 1000, width: 64, columns: 2, rows: 2 }
  const pictures = api.addTask({ kind: 'pictures', source, timeline, picture, posterAtMs: 500, tiles }, { inputs })
  const made = await Promise.all(chunks.map(outcomeOf))
  const heard = await outcomeOf(sound)
  const seen = await outcomeOf(pictures)
  assert.ok(api.heartbeats.some(({ held }) => held.some(({ frames }) => frames > 0)))

  const parts = made.map(({ output, uploads }, at) => ({
    name: `${chunks[at]?.id}-chunk`,
    key: `${chunks[at]?.id}/${uploads[0]?.name}`,
    taskId: chunks[at]?.id ?? 0,
    sha256: output.kind === 'video' ? output.facts.sha256 : '',
    frameCount: 50,
  }))
  const spoken = {
    name: 'sound',
    key: `${sound.id}/${heard.uploads[0]?.name}`,
    taskId: sound.id,
    sha256: heard.output.kind === 'audio' ? heard.output.facts.sha256 : '',
    frameCount: 0,
  }
  const shown = seen.uploads.map(({ name }) => ({ name, key: `${pictures.id}/${name}`, taskId: pictures.id }))
  const package_ = (video: typeof parts): ApiTask =>
    api.addTask(
      {
        kind: 'package',
        format: 'cmaf',
        timeline,
        segmentMs: 2000,
        tracks: [
          { track: { kind: 'video', name: '90p', codec: 'h264', gopFrames: 25 }, inputs: video.map(inputOf) },
          { track: { kind: 'audio', name: 'audio-0', codec: 'aac', isDefault: true }, inputs: [inputOf(spoken)] },
        ],
        pictures: shown.map(({ name }) => name),
      },
      { inputs: [...[...video, spoken].map(({ name, key, taskId }) => ({ name, key, taskId })), ...shown] },
    )
  const packed = await outcomeOf(package_(parts))
  const names = packed.uploads.map(({ name }) => name)
  assert.ok(names.includes('master.m3u8') && names.includes('manifest.mpd'), names.join())
  assert.ok(shown.every(({ name }) => names.includes(name)))
  assert.ok(packed.output.kind === 'package' && packed.output.facts.tracks.length === 2)

  // A chunk that is not the one that was made is told by the task that made it.
  const [first, second] = parts
  assert.ok(first && second)
  const spoilt = package_([first, { ...second, sha256: first.sha256 }])
  await until(() => spoilt.failure, { timeoutMs: 60_000 })
  assert.deepEqual([spoilt.failure?.code, spoilt.failure?.badInputs], ['INPUT_DAMAGED', [second.taskId]])

  // With two of them, both are told: one that is another, and one that is gone.
  api.files.objects.delete(second.key)
  const robbed = package_([{ ...first, sha256: second.sha256 }, second])
  await until(() => robbed.failure, { timeoutMs: 60_000 })
  assert.deepEqual([robbed.failure?.code, robbed.failure?.badInputs], ['INPUT_DAMAGED', [first.taskId, second.taskId]])
})

function inputOf({ name, sha256, frameCount }: { name: string; sha256: string; frameCount: number }) {
  return { name, sha256, frameCount }
}

test('a source that is no film fails with the code of libav', async () => {
  await using api = await TestApi.start()
  api.files.put('text', Buffer.from('this is no film\n'.repeat(1000)))
  await using _running = await startWorker({ urls: [api.url], runners: codecRunners(processes) })
  const task = api.addTask({ kind: 'probe', source }, { inputs: [{ name: source, key: 'text' }] })
  await until(() => task.failure, { timeoutMs: 60_000 })
  assert.match(task.failure?.code ?? '', /^(MALFORMED|UNSUPPORTED)$/)
})

test('the encoders of this machine are found', async () => {
  const { encoders } = await detectEncoders({ log: silentLog, signal: new AbortController().signal })
  assert.ok(encoders.includes('libx264') && encoders.includes('aac'))
})
