import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { sampleJob, sampleQueuedJob } from '../../test/support/job-samples.ts'
import { jobWorld, startJobServer, type JobWorld } from '../../test/support/job-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { runCommandLine } from './program.ts'

const content = Buffer.from(Array.from({ length: 450_000 }, (_, index) => index % 251))

type Outcome = { readonly code: number; readonly output: string; readonly errors: string }

async function submit(world: JobWorld, argv: readonly string[], terminal = new MemoryTerminal()): Promise<Outcome> {
  await using server = await startJobServer(world)
  const context = {
    terminal,
    environment: { MILLRACE_URL: server.url },
    clock: new ManualClock(Date.parse('2026-01-02T10:00:00Z')),
  }
  const code = await runCommandLine(['jobs', 'submit', ...argv], { ...context, signal: new AbortController().signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

/** What was asked for. */
function submitted({ bodies }: JobWorld): unknown {
  return bodies.findLast(({ what }) => what === 'POST jobs')?.body
}

const ladder = ['--scenario', 'abr-ladder'] as const

test('sources of every kind, and everything that can be asked for, go to the server', async () => {
  for (const [argv, body] of [
    [['https://example.com/a.mp4'], { source: { url: 'https://example.com/a.mp4' } }],
    [['object:films/a.mp4'], { source: { object: 'films/a.mp4' } }],
    [
      ['site/gate', '--last', '10m'],
      { source: { recording: { stream: 'site/gate', from: '2026-01-02T09:50:00.000Z', to: '2026-01-02T10:00:00.000Z' } } },
    ],
    [['gate', '--target', 'gate-720p'], { source: { stream: 'gate' }, target: { stream: 'gate-720p' } }],
    [
      ['object:a', '--queue', 'batch', '--priority', 'low', '--label', 'A', '--tenant', 'acme', '--deadline', '2h'],
      { source: { object: 'a' }, queue: 'batch', priority: 'low', label: 'A', tenant: 'acme', deadlineSeconds: 7200 },
    ],
    [
      ['object:a', '--clip-from', '90s', '--clip-to', '2m', '--crop', '1280x720+10+20'],
      { source: { object: 'a' }, clip: { fromSeconds: 90, toSeconds: 120 }, crop: { x: 10, y: 20, width: 1280, height: 720 } },
    ],
    [['object:a', '--clip-to', '2m'], { source: { object: 'a' }, clip: { fromSeconds: 0, toSeconds: 120 } }],
    [
      ['object:a', '--watermark', 'object:logo.png', '--watermark-corner', 'top-left'],
      { source: { object: 'a' }, watermark: { object: 'logo.png', corner: 'top-left' } },
    ],
  ] as const) {
    const world = jobWorld({ jobs: new Map() })
    const { code, output, errors } = await submit(world, [...argv, ...ladder])
    assert.equal(code, 0, errors)
    assert.deepEqual(submitted(world), { scenario: 'abr-ladder', ...body })
    const [first, second, third] = output.split('\n')
    assert.equal(first, 'Job job-1 submitted: harbour at dawn.mp4 as abr-ladder')
    assert.equal(second, 'Watch it with: millrace jobs watch job-1')
    assert.match(third ?? '', /^or in a browser: http:\S+\/#\/jobs\/job-1$/)
  }
})

test('what cannot be is told before anything is uploaded', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'a.mp4')
  await writeFile(file, content)
  const empty = join(directory.path, 'empty.mp4')
  await writeFile(empty, '')
  for (const [argv, code, message] of [
    [[file], 2, /--scenario/],
    [[file, '--scenario', 'nothing'], 1, /SCENARIO_NOT_FOUND/],
    [[file, ...ladder, '--clip-from', '3m', '--clip-to', '2m'], 2, /the clip ends before it begins/],
    [[file, ...ladder, '--crop', 'half'], 2, /--crop/],
    [[file, ...ladder, '--watermark-corner', 'top-left'], 2, /--watermark-corner needs --watermark/],
    [[file, ...ladder, '--to', '10:00'], 2, /--to alone/],
    [[empty, ...ladder], 2, /empty\.mp4 is empty/],
    [[join(directory.path, 'none.mp4'), ...ladder], 2, /none\.mp4 cannot be read/],
    [[file, ...ladder, '--queue', 'fast'], 2, /--queue/],
  ] as const) {
    const world = jobWorld()
    const outcome = await submit(world, argv)
    assert.equal(outcome.code, code, outcome.errors)
    assert.match(outcome.errors, message)
    assert.equal(submitted(world), undefined)
  }
})

test('a file is uploaded in parts, with progress, and then is the source', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'my film.mp4')
  await writeFile(file, content)
  const world = jobWorld()
  const terminal = new MemoryTerminal({ isInteractive: true })
  const { code, errors } = await submit(world, [file, ...ladder], terminal)
  assert.equal(code, 0, errors)
  assert.deepEqual(Buffer.concat([0, 1, 2, 3, 4].map((part) => world.parts.get(part) ?? Buffer.of())), content)
  assert.deepEqual(world.bodies.find(({ what }) => what === 'POST jobs/sources')?.body, {
    name: 'my film.mp4',
    sizeBytes: 450_000,
  })
  assert.deepEqual(world.bodies.find(({ what }) => what === 'POST jobs/sources/complete')?.body, {
    object: 'sources/1/my film.mp4',
    uploadId: 'upload-1',
    partBytes: 100_000,
    sizeBytes: 450_000,
    etags: ['"0-100000"', '"1-100000"', '"2-100000"', '"3-100000"', '"4-50000"'],
  })
  assert.deepEqual(submitted(world), { scenario: 'abr-ladder', source: { object: 'sources/1/my film.mp4' } })
  assert.match(errors, /\[#*\.+\] \d+ % {2}.* of 450 kB/)
})

test('an upload goes on after a cut connection, and asks for fresh URLs when they have expired', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'a.mp4')
  await writeFile(file, content)
  const world = jobWorld({
    faults: new Map([
      [1, 'cut'],
      [2, 'expired'],
      [3, 'cut'],
    ]),
  })
  const { code, errors } = await submit(world, [file, ...ladder])
  assert.equal(code, 0, errors)
  assert.deepEqual(Buffer.concat([0, 1, 2, 3, 4].map((part) => world.parts.get(part) ?? Buffer.of())), content)
  const resumes = world.bodies.filter(({ what }) => what === 'POST jobs/sources').map(({ body }) => body)
  assert.deepEqual(resumes, [
    { name: 'a.mp4', sizeBytes: 450_000 },
    {
      name: 'a.mp4',
      sizeBytes: 450_000,
      resume: { object: 'sources/1/a.mp4', uploadId: 'upload-1', partBytes: 100_000 },
    },
  ])
})

test('a refusal of the object store ends the upload at once', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'a.mp4')
  await writeFile(file, content)
  const world = jobWorld({ faults: new Map([[0, 'refused']]) })
  const { code, errors } = await submit(world, [file, ...ladder])
  assert.equal(code, 1)
  assert.match(errors, /^error OBJECTS_UNAVAILABLE: http:\/\/127\.0\.0\.1:\d+ refused a part of the file with status 400: /)
  assert.equal(submitted(world), undefined)
})

test('with --watch the job is watched, and its end is the exit code', async () => {
  const views = [sampleQueuedJob(), sampleJob(), sampleJob({ done: 5 })]
  const watch = ['object:a', ...ladder, '--watch', '--interval-seconds', '0.1'] as const
  const well = await submit(jobWorld({ jobs: new Map([['job-1', views]]) }), watch)
  assert.equal(well.code, 0, well.errors)
  assert.match(well.output, /queued.*\n.*running.*\n.*completed.*\nCompleted in 3:00 min/)
  const failed = sampleJob({ state: 'failed', isOver: true, error: { code: 'UNSUPPORTED', message: 'no tracks' } })
  const badly = await submit(jobWorld({ jobs: new Map([['job-1', [failed]]]) }), watch)
  assert.deepEqual([badly.code, badly.errors], [1, 'error JOB_FAILED: job job-1 failed: UNSUPPORTED: no tracks\n'])
})
