import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { startJobsApi, type TestJobsApi } from '#api/jobs.fixture.ts'
import { systemClock } from '#lib/clock.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { runCommandLine } from './program.ts'

/** The commands against the real API, over a real scheduler, database and directory of objects. */

type Outcome = { readonly code: number; readonly output: string; readonly errors: string }

async function run({ url }: TestJobsApi, argv: readonly string[], terminal = new MemoryTerminal()): Promise<Outcome> {
  const signal = new AbortController().signal
  const code = await runCommandLine(argv, { terminal, environment: { MILLRACE_URL: url }, clock: systemClock, signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

async function runWell(api: TestJobsApi, ...argv: string[]): Promise<string> {
  const { code, output, errors } = await run(api, argv)
  assert.equal(code, 0, errors)
  return output
}

test('a file is uploaded, submitted and watched until it is done, and its result can be fetched', async () => {
  await using api = await startJobsApi()
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'film.mp4')
  // More than two parts of the object store.
  const content = randomBytes(17 * 1024 * 1024)
  await writeFile(file, content)
  const terminal = new MemoryTerminal()
  const flags = ['--scenario', 'tiny', '--label', 'Film', '--watch', '--interval-seconds', '0.1']
  const done = run(api, ['jobs', 'submit', file, ...flags], terminal)
  await until(() => terminal.output.includes('queued'))
  const worker = await api.fleet.addWorker('encoder-1')
  assert.deepEqual((await worker.work()).toSorted(), ['audio', 'package', 'pictures', 'probe', 'video', 'video'])
  const { code, output, errors } = await done
  assert.equal(code, 0, errors)
  const [, address = ''] = /\nCompleted in .*: (http\S+)\n/.exec(output) ?? []
  assert.equal(await (await fetch(address)).text(), 'master.m3u8')

  const [{ id, input }] = JSON.parse(await runWell(api, 'jobs', 'list', '--json', '--state', 'completed', '--search', 'Film'))
  const stored = await api.fleet.objects.get(input.source.object)
  assert.ok((await buffer(stored.stream)).equals(content))
  assert.match(await runWell(api, 'jobs', 'show', id, '--tasks', '--attempts'), /\n360p 2 +done +.*encoder-1\n/)
  assert.equal(await runWell(api, 'jobs', 'cancel', id), `Job ${id} was over already: completed\n`)
})

test('a job that fails is told, and can be tried again', async () => {
  await using api = await startJobsApi()
  const source = `object:${api.fleet.source}`
  const submitted = JSON.parse(
    await runWell(api, 'jobs', 'submit', source, '--scenario', 'tiny', '--idempotency-key', 'a', '--json'),
  )
  const again = JSON.parse(await runWell(api, 'jobs', 'submit', source, '--scenario', 'tiny', '--idempotency-key', 'a', '--json'))
  assert.equal(again.id, submitted.id)
  const worker = await api.fleet.addWorker('encoder-1')
  const probe = await worker.take()
  await worker.fail(probe, { code: 'MALFORMED', message: 'no tracks' })
  const watched = await run(api, ['jobs', 'watch', submitted.id])
  assert.deepEqual([watched.code, watched.errors], [1, `error JOB_FAILED: job ${submitted.id} failed: MALFORMED: no tracks\n`])
  assert.match(await runWell(api, 'jobs', 'show', submitted.id, '--attempts'), /probe +terminal .*MALFORMED: no tracks\n/)
  assert.match(await runWell(api, 'jobs', 'retry', submitted.id), /is queued again, generation 2: 0 of 1 tasks are done\n$/)
  assert.equal(await runWell(api, 'jobs', 'cancel', submitted.id), `Job ${submitted.id} canceled\n`)
})

test('workers and scenarios of the server are shown and changed', async () => {
  await using api = await startJobsApi()
  await using directory = await temporaryDirectory()
  await api.fleet.addWorker('encoder-1', { slots: 4 })
  assert.match(await runWell(api, 'nodes', 'list'), /\nencoder-1 +active +0\/4 /)
  assert.match(await runWell(api, 'nodes', 'drain', 'encoder-1', '--wait'), /it has nothing left\n$/)
  assert.equal(await runWell(api, 'nodes', 'drain', 'encoder-1', '--undo'), 'Node encoder-1 takes work\n')

  assert.match(await runWell(api, 'scenarios', 'list', '--search', 'abr-ladder'), /\nabr-ladder +preset +cmaf /)
  const file = join(directory.path, 'mine.json')
  await writeFile(file, await runWell(api, 'scenarios', 'show', 'abr-ladder', '--json'))
  const taken = await run(api, ['scenarios', 'add', file])
  assert.match(taken.errors, /^error SCENARIO_EXISTS: /)
  assert.equal(await runWell(api, 'scenarios', 'add', file, '--name', 'mine'), 'Scenario mine added\n')
  assert.equal(await runWell(api, 'scenarios', 'add', file, '--name', 'mine', '--replace'), 'Scenario mine replaced\n')
  assert.match(await runWell(api, 'scenarios', 'show', 'mine'), /\norigin +added by API\n/)
  assert.equal(await runWell(api, 'scenarios', 'remove', 'mine'), 'Scenario mine removed\n')
})
