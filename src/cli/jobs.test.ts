import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { sampleJob, sampleLogLine, sampleNode, sampleQueuedJob, sampleTasks, sampleTime } from '../../test/support/job-samples.ts'
import { jobWorld, startJobServer } from '../../test/support/job-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { until } from '../../test/support/until.ts'
import { runCommandLine } from './program.ts'

type Server = { readonly url: string }
type Outcome = { readonly code: number; readonly output: string; readonly errors: string }

async function run(
  { url }: Server,
  argv: readonly string[],
  { terminal = new MemoryTerminal(), signal = new AbortController().signal } = {},
): Promise<Outcome> {
  const code = await runCommandLine(argv, { terminal, environment: { MILLRACE_URL: url }, clock: new ManualClock(), signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

async function runWell(server: Server, ...argv: string[]): Promise<string> {
  const { code, output, errors } = await run(server, argv)
  assert.equal(code, 0, errors)
  return output
}

const quickly = ['--interval-seconds', '0.1'] as const

test('jobs are listed, the newest first, and chosen by state, scenario and text', async () => {
  const jobs = [
    sampleJob({ id: 'job-1', sequence: 1, done: 5 }),
    sampleJob({ id: 'job-2', sequence: 2, priority: 'high', label: 'the harbour' }),
    sampleQueuedJob({ id: 'job-3', sequence: 3, scenario: 'audio-only', isCancelRequested: true }),
  ]
  await using server = await startJobServer(jobWorld({ jobs: new Map(jobs.map((job) => [job.id, [job]])) }))
  const list = (await runWell(server, 'jobs', 'list')).replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME')
  assert.equal(
    list,
    [
      'ID     STATE       DONE  SCENARIO    QUEUE         SUBMITTED            LABEL',
      'job-3  canceling    0 %  audio-only  default       TIME  harbour at dawn.mp4',
      'job-2  running     47 %  abr-ladder  default/high  TIME  the harbour',
      'job-1  completed  100 %  abr-ladder  default       TIME  harbour at dawn.mp4',
      '',
    ].join('\n'),
  )
  const ids = async (...flags: string[]): Promise<string[]> =>
    JSON.parse(await runWell(server, 'jobs', 'list', '--json', ...flags)).map(({ id }: { id: string }) => id)
  assert.deepEqual(await ids('--state', 'queued,running'), ['job-3', 'job-2'])
  assert.deepEqual(await ids('--scenario', 'audio-only'), ['job-3'])
  assert.deepEqual(await ids('--search', 'harbour'), ['job-2'])
  assert.deepEqual(await ids('-n', '2'), ['job-3', 'job-2'])
  assert.match(await runWell(server, 'jobs', 'list', '--search', 'nothing'), /^No jobs\. Submit one with:/)
})

test('a job is shown with its plan, what runs, its tries and its result', async () => {
  const failed = sampleTasks({ done: 2, failed: 2 })
  const world = jobWorld({
    jobs: new Map([
      ['job-1', [sampleJob()]],
      ['job-2', [sampleJob({ id: 'job-2', done: 5 })]],
      [
        'job-3',
        [sampleJob({ id: 'job-3', tasks: failed, state: 'failed', error: { code: 'CODEC_FAILED', message: 'it crashed' } })],
      ],
    ]),
  })
  await using server = await startJobServer(world)
  const running = await runWell(server, 'jobs', 'show', 'job-1')
  assert.match(
    running,
    /^id +job-1\nstate +running\nprogress +\[#+\.+\] 47 % {2}10800 of 22500 frames {2}3\.3× {2}1:35 min left {2}chunks 6 of 15\n/,
  )
  assert.match(running, /\n {10,}mov,mp4,m4a, 5:00 min, h264 1920×1080, 25 fps, aac 2 ch\n/)
  assert.match(running, /\n720p +1280×720, 25 fps +libx264 medium +crf 21 +5\n/)
  assert.match(running, /\n720p 3 +running +40 % +1\.1× +1 +encoder-2\n/)
  assert.doesNotMatch(running, /720p 4/)
  assert.match(await runWell(server, 'jobs', 'show', 'job-1', '--tasks'), /\n720p 4 +waiting +0 %/)
  assert.match(await runWell(server, 'jobs', 'show', 'job-1', '--attempts'), /1080p 2 +lost +31\.0 s +encoder-2\n/)
  const completed = await runWell(server, 'jobs', 'show', 'job-2')
  assert.match(completed, /\nresult +http:\/\/127\.0\.0\.1:\d+\/api\/v1\/jobs\/job-2\/files\/master\.m3u8\n/)
  assert.match(completed, /\n1080p +avc1\.640028 +1920×1080 +3146 kbit\/s +5020 kbit\/s +118 MB\n/)
  const broken = await runWell(server, 'jobs', 'show', 'job-3')
  assert.match(broken, /\nerror +CODEC_FAILED: it crashed\n/)
  assert.match(broken, /\n1080p 3 +failed .*CODEC_FAILED: the codec process ended with SIGKILL\n/)
  const parsed = JSON.parse(await runWell(server, 'jobs', 'show', 'job-1', '--json', '--attempts'))
  assert.deepEqual([parsed.tasks.length, parsed.attempts.length], [19, 2])
  const missing = await run(server, ['jobs', 'show', 'job-9'])
  assert.deepEqual([missing.code, missing.errors.split('\n')[1]], [1, 'hint: millrace jobs list shows what there is'])
})

test('a job is watched to its end: a line for each step', async () => {
  const views = [
    sampleQueuedJob(),
    sampleJob({ done: 1 }),
    sampleJob({ done: 1 }),
    sampleJob({ done: 4 }),
    sampleJob({ done: 5 }),
  ]
  await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', views]]) }))
  const output = await runWell(server, 'jobs', 'watch', 'job-1', ...quickly)
  const lines = output.replaceAll(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}/gm, '').split('\n')
  assert.deepEqual(
    lines.map((line) => line.replace(/\[.*\] /, '')),
    [
      'queued     0 %',
      'running    27 %  6300 of 22500 frames  3.3×  1:35 min left  chunks 3 of 15',
      'running    86 %  19800 of 22500 frames  3.3×  1:35 min left  chunks 12 of 15',
      'completed  100 %  22500 of 22500 frames  chunks 15 of 15',
      `Completed in 3:00 min: ${server.url}/api/v1/jobs/job-1/files/master.m3u8`,
      `Play it in a browser: ${server.url}/#/jobs/job-1`,
      '',
    ],
  )
})

test('on a terminal the watched job is drawn in place, with a line for each running task', async () => {
  const views = [sampleJob(), sampleJob({ done: 5 })]
  await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', views]]) }))
  const terminal = new MemoryTerminal({ isInteractive: true, columns: 100 })
  assert.equal((await run(server, ['jobs', 'watch', 'job-1', ...quickly], { terminal })).code, 0)
  const [first = '', second = ''] = terminal.output.split('\u001B[J')
  const shown = first.replaceAll('\r\u001B[2K', '').split('\n')
  assert.deepEqual(shown, [
    'harbour at dawn.mp4  abr-ladder  running  job-1',
    '[###########.............] 47 %  10800 of 22500 frames  3.3×  1:35 min left  chunks 6 of 15',
    '',
    '  RUNNING                  DONE  SPEED  NODE',
    '  1080p 3  [##..........]  20 %   1.5×  encoder-1',
    '  720p 3   [#####.......]  40 %   1.1×  encoder-2',
    '  480p 3   [#######.....]  60 %   0.7×  encoder-3',
    '',
  ])
  assert.ok(second.startsWith('\u001B[7A'), 'the second picture covers the first')
})

test('while a job waits and nobody is there to do it, the watch says so once', async () => {
  const views = [sampleQueuedJob(), sampleQueuedJob(), sampleJob({ done: 5 })]
  const nodes = new Map([['encoder-1', sampleNode({ state: 'draining' })]])
  await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', views]]), nodes }))
  const { code, errors } = await run(server, ['jobs', 'watch', 'job-1', ...quickly])
  assert.equal(code, 0)
  assert.match(errors, /^\S+ \S+ {2}It waits: no worker takes work\. See millrace nodes list\n$/)
})

test('a live job shows its frames, and no share of a whole', async () => {
  const live = sampleJob({ input: { source: { stream: 'gate' } }, totalFrames: 0, frames: 1200, speed: 1, tasks: [] })
  const { secondsLeft: _, plan: __, ...job } = live
  await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', [job]]]) }))
  assert.match(await runWell(server, 'jobs', 'list'), /\njob-1 {2}running {8}abr-ladder .* gate\n$/)
  assert.match(await runWell(server, 'jobs', 'show', 'job-1'), /\nprogress +1200 frames {2}1\.0×\n/)
})

test('a watched job that does not complete ends with code 1 and says why', async () => {
  const over = { isOver: true, finishedAt: sampleTime(9) } as const
  const error = { code: 'ENCODE_DAMAGED', message: 'chunk 3 of 720p has 1499 of 1500 frames' }
  for (const [job, message] of [
    [sampleJob({ state: 'failed', error, ...over }), 'job job-1 failed: ENCODE_DAMAGED: chunk 3 of 720p has 1499 of 1500 frames'],
    [sampleJob({ state: 'timed_out', ...over }), 'job job-1 timed out'],
    [sampleJob({ state: 'canceled', ...over }), 'job job-1 was canceled'],
  ] as const) {
    await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', [job]]]) }))
    const { code, errors } = await run(server, ['jobs', 'watch', 'job-1', ...quickly])
    assert.deepEqual([code, errors], [1, `error JOB_FAILED: ${message}\n`])
  }
})

test('with --json a watched job is an object a line, whenever something has changed', async () => {
  const views = [sampleJob(), sampleJob(), sampleJob({ done: 5 })]
  await using server = await startJobServer(jobWorld({ jobs: new Map([['job-1', views]]) }))
  const lines = (await runWell(server, 'jobs', 'watch', 'job-1', '--json', ...quickly)).trim().split('\n')
  const parsed = lines.map((line) => JSON.parse(line))
  assert.deepEqual(
    parsed.map(({ state, running, tasks, plan }) => [state, running.length, tasks, plan]),
    [
      ['running', 3, undefined, undefined],
      ['completed', 0, undefined, undefined],
    ],
  )
})

test('Ctrl+C ends the watching, and the job goes on', async () => {
  await using server = await startJobServer(jobWorld())
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const done = run(server, ['jobs', 'watch', 'job-1', ...quickly], { terminal, signal: stop.signal })
  await until(() => server.requests.length >= 3)
  stop.abort()
  assert.equal((await done).code, 0)
  assert.equal(terminal.errors, 'The job goes on. Watch it again with: millrace jobs watch job-1\n')
  assert.ok(server.requests.every(({ method }) => method === 'GET'))
})

test('a job is canceled and tried again', async () => {
  const over = sampleJob({ id: 'job-2', state: 'failed', isOver: true })
  const world = jobWorld({
    jobs: new Map([
      ['job-1', [sampleJob()]],
      ['job-2', [over]],
    ]),
  })
  await using server = await startJobServer(world)
  assert.equal(await runWell(server, 'jobs', 'cancel', 'job-1'), 'Job job-1 is being canceled\n')
  assert.equal(await runWell(server, 'jobs', 'cancel', 'job-2'), 'Job job-2 was over already: failed\n')
  assert.equal(
    await runWell(server, 'jobs', 'retry', 'job-2'),
    'Job job-2 is queued again, generation 2: 9 of 19 tasks are done\n',
  )
  const refused = await run(server, ['jobs', 'retry', 'job-1'])
  assert.deepEqual([refused.code, refused.errors], [1, 'error JOB_STATE_INVALID: job "job-1" is not over\n'])
})

test('the log of a job is printed, page by page, and from its end', async () => {
  const log = Array.from({ length: 1100 }, (_, index) => sampleLogLine(index))
  await using server = await startJobServer(jobWorld({ log }))
  const lines = (await runWell(server, 'jobs', 'logs', 'job-1')).trim().split('\n')
  assert.equal(lines.length, 1100)
  assert.match(lines[1099] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}info {3}task 11 {2}line 1099$/)
  const last = (await runWell(server, 'jobs', 'logs', 'job-1', '-n', '3', '--json')).trim().split('\n')
  assert.deepEqual(
    last.map((line) => JSON.parse(line).id),
    [1097, 1098, 1099],
  )
})

test('a followed log goes on until the job is over', async () => {
  const log = [sampleLogLine(1)]
  const views = [sampleJob(), sampleJob({ done: 5 })]
  const world = jobWorld({ log, jobs: new Map([['job-1', views]]) })
  await using server = await startJobServer(world)
  const terminal = new MemoryTerminal()
  const done = run(server, ['jobs', 'logs', 'job-1', '--follow'], { terminal })
  await until(() => terminal.output.includes('line 1\n'))
  log.push(sampleLogLine(2))
  assert.equal((await done).code, 0)
  assert.match(terminal.output, /line 1\n.*line 2\n$/)
})
