import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from '../support/command-line.ts'
import { FleetApi, startControl, startWorker } from '../support/fleet.ts'
import { audioVideoSkewMs, onlyTrack, playStream, type PlayResult } from '../support/peers/play-stream.ts'
import { publishTestStream } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, type Millrace } from '../support/program.ts'
import { until } from '../support/until.ts'

const rate = { mode: 'average', bitsPerSecond: 200_000, maxBitsPerSecond: 300_000, bufferMs: 1000 }
const scenario = {
  name: 'small-live',
  kind: 'live',
  renditions: [{ name: '90p', height: 90, codec: 'h264', preset: 'ultrafast', rate }],
  audio: { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false },
  gopSeconds: 1,
}
const [source, target] = ['demo/gate', 'demo/gate-90p']

async function stateOf({ url }: Millrace, stream: string): Promise<unknown> {
  const { state }: { state?: unknown } = JSON.parse(
    await (await fetch(`${url}/api/v1/streams/${encodeURIComponent(stream)}`)).text(),
  )
  return state
}

/** Three seconds of the rendition, as soon as it is there. */
async function play(control: Millrace): Promise<PlayResult> {
  await until(async () => (await stateOf(control, target)) === 'online', { what: `stream ${target}`, timeoutMs: 30_000 })
  await using player = playStream({ url: `${control.rtspUrl}/${target}`, format: 'rtsp', decode: true, untilFrames: 75 })
  return await player.result
}

function assertPlays(result: PlayResult): void {
  const video = onlyTrack(result, 'video')
  assert.deepEqual(video.sizes, ['160x90'])
  assert.equal(video.decodeErrors, 0)
  assert.ok(video.frames >= 60, `${video.frames} frames`)
  assert.ok(Math.abs(audioVideoSkewMs(result)) < 60, `${audioVideoSkewMs(result)} ms apart`)
}

test('a live job publishes a rendition, goes on with another worker when its own is killed, and ends when it is canceled', async (t) => {
  await using control = await startControl()
  showOutputOnFailure(t, control)
  const workers = new Map<string, Millrace>()
  await using stack = new AsyncDisposableStack()
  const start = async (id: string) => {
    const worker = stack.use(await startWorker([control.url], { env: { MILLRACE_WORKER_ID: id } }))
    showOutputOnFailure(t, worker)
    workers.set(id, worker)
  }
  await Promise.all(['one', 'two'].map(start))
  const api = new FleetApi(control)
  await api.untilWorking(2)
  await api.addScenario(scenario)
  await using _stream = await publishTestStream({ url: `${control.rtspUrl}/${source}`, video: 'h264', audio: 'aac' })

  const submitted = await runCommand(control, [
    'jobs',
    'submit',
    source,
    '--scenario',
    scenario.name,
    '--target',
    target,
    '--json',
  ])
  assert.equal(submitted.code, 0, submitted.errors)
  const { id }: { id: string } = JSON.parse(submitted.output)
  const taskOf = async () => (await api.tasks(id))[0] ?? assert.fail('no task')
  assertPlays(await play(control))
  const running = await api.untilState(id, 'running')
  assert.equal(running.queue, 'live')
  await until(async () => (await api.job(id)).frames > 0, { what: 'frames to be counted' })
  const listed = await runCommand(control, ['jobs', 'list'])
  assert.match(listed.output, new RegExp(`^${id}\\s+running\\s+small-live\\s+live\\s`, 'm'))

  const first = (await taskOf()).nodeId ?? assert.fail('nobody has it')
  const [other = ''] = [...workers.keys()].filter((name) => name !== first)
  await workers.get(first)?.kill('SIGKILL')
  await until(async () => (await taskOf()).nodeId === other, { what: 'the other worker to have it', timeoutMs: 30_000 })
  assertPlays(await play(control))
  const [lost] = await api.attempts(id)
  assert.partialDeepStrictEqual(lost, { nodeId: first, outcome: 'lost' })
  assert.equal((await taskOf()).lostCount, 1)

  const canceled = await runCommand(control, ['jobs', 'cancel', id])
  assert.equal(canceled.code, 0, canceled.errors)
  await api.untilState(id, 'canceled')
  await until(async () => (await stateOf(control, target)) !== 'online', { what: 'the rendition to be gone' })
  await until(async () => (await api.nodes()).every(({ state, usedSlots }) => state !== 'active' || usedSlots === 0), {
    what: 'slots to be free',
  })
  assert.equal(await stateOf(control, source), 'online')
})

test('a live job whose source is gone tries again, and goes on when it is back', async (t) => {
  await using control = await startControl()
  showOutputOnFailure(t, control)
  await using worker = await startWorker([control.url])
  showOutputOnFailure(t, worker)
  const api = new FleetApi(control)
  await api.untilWorking()
  await api.addScenario(scenario)
  const publish = () => publishTestStream({ url: `${control.rtspUrl}/${source}`, video: 'h264', audio: 'aac' })
  const stream = await publish()
  const { id } = await api.submit({ scenario: scenario.name, source: { stream: source }, target: { stream: target } })
  assertPlays(await play(control))
  await stream.kill()
  await api.untilState(id, 'retrying', 60_000)
  await using _again = await publish()
  assertPlays(await play(control))
  await api.untilState(id, 'running')
  const attempts = await api.attempts(id)
  assert.ok(
    attempts.every(({ outcome }) => outcome === 'transient'),
    JSON.stringify(attempts),
  )
  await api.cancel(id)
  await api.untilState(id, 'canceled')
})
