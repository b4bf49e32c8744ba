import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { sampleNode, sampleScenario, sampleTime } from '../../test/support/job-samples.ts'
import { jobWorld, startJobServer } from '../../test/support/job-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { runCommandLine } from './program.ts'

type Outcome = { readonly code: number; readonly output: string; readonly errors: string }

async function run({ url }: { readonly url: string }, ...argv: string[]): Promise<Outcome> {
  const terminal = new MemoryTerminal()
  const clock = new ManualClock(Date.parse(sampleTime(60)))
  const signal = new AbortController().signal
  const code = await runCommandLine(argv, { terminal, environment: { MILLRACE_URL: url }, clock, signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

async function runWell(server: { readonly url: string }, ...argv: string[]): Promise<string> {
  const { code, output, errors } = await run(server, ...argv)
  assert.equal(code, 0, errors)
  return output
}

test('workers are listed with their load', async () => {
  const { load: _, ...lost } = sampleNode({ id: 'encoder-2', state: 'lost', usedSlots: 0, seenAt: sampleTime(-40) })
  const nodes = new Map([sampleNode(), lost].map((node) => [node.id, node]))
  await using server = await startJobServer(jobWorld({ nodes }))
  assert.equal(
    await runWell(server, 'nodes', 'list'),
    [
      'ID         STATE   SLOTS   CPU  MEMORY  DISK FREE          SEEN  VERSION',
      'encoder-1  active    5/8  71 %  2.4 GB     180 GB     2.0 s ago  0.1.0',
      'encoder-2  lost      0/8                           1:40 min ago  0.1.0',
      '',
    ].join('\n'),
  )
  assert.match(await runWell(server, 'nodes', 'list', '--capabilities'), /encoder:aac encoder:libx264 encoder:libx265\n/)
  assert.equal(JSON.parse(await runWell(server, 'nodes', 'list', '--json')).length, 2)
})

test('a worker is drained, waited for, and removed', async () => {
  await using server = await startJobServer(jobWorld())
  assert.equal(
    await runWell(server, 'nodes', 'drain', 'encoder-1'),
    'Node encoder-1 takes nothing new; 5 of 8 slots are still at work\n',
  )
  assert.equal(await runWell(server, 'nodes', 'drain', 'encoder-1', '--undo'), 'Node encoder-1 takes work\n')
  const busy = await run(server, 'nodes', 'remove', 'encoder-1')
  assert.deepEqual([busy.code, busy.errors], [1, 'error NODE_BUSY: node "encoder-1" has tasks; drain it first\n'])
  assert.equal(
    await runWell(server, 'nodes', 'drain', 'encoder-1', '--wait'),
    'Node encoder-1 takes nothing new; it has nothing left\n',
  )
  assert.equal(await runWell(server, 'nodes', 'remove', 'encoder-1', '--json'), '{"id":"encoder-1","outcome":"removed"}\n')
  const missing = await run(server, 'nodes', 'drain', 'encoder-1')
  assert.match(missing.errors, /^error NODE_NOT_FOUND: .*\nhint: millrace nodes list shows what there is\n$/)
})

test('scenarios are listed and shown', async () => {
  const sound = sampleScenario({ name: 'audio-only', description: '', renditions: [], origin: 'file' })
  const scenarios = new Map([sampleScenario(), sound].map((scenario) => [scenario.name, scenario]))
  await using server = await startJobServer(jobWorld({ scenarios }))
  assert.equal(
    await runWell(server, 'scenarios', 'list'),
    [
      'NAME        ORIGIN  FORMAT  RENDITIONS            SOUND',
      'abr-ladder  preset  cmaf    1080p 720p 480p h264  aac 128k  A ladder for the web: H.264 with AAC.',
      'audio-only  file    cmaf                          aac 128k',
      '',
    ].join('\n'),
  )
  const shown = await runWell(server, 'scenarios', 'show', 'abr-ladder')
  assert.match(shown, /^name +abr-ladder\n +A ladder .*\norigin +comes with Millrace\nformat +cmaf: HLS and DASH\n/)
  assert.match(shown, /\n720p +720 +h264 +crf 21 +8\n/)
})

test('a scenario that is shown as JSON can be added under another name, replaced and removed', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'mine.json')
  await using server = await startJobServer(jobWorld())
  await writeFile(file, await runWell(server, 'scenarios', 'show', 'abr-ladder', '--json'))
  assert.match((await run(server, 'scenarios', 'add', file)).errors, /^error SCENARIO_EXISTS/)
  assert.equal(await runWell(server, 'scenarios', 'add', file, '--name', 'mine'), 'Scenario mine added\n')
  assert.equal(await runWell(server, 'scenarios', 'add', file, '--name', 'mine', '--replace'), 'Scenario mine replaced\n')
  assert.equal(await runWell(server, 'scenarios', 'remove', 'mine'), 'Scenario mine removed\n')
  assert.match((await run(server, 'scenarios', 'show', 'mine')).errors, /^error SCENARIO_NOT_FOUND/)
})

test('a scenario comes from TOML, too, and mistakes in the file are told', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'mine.toml')
  const world = jobWorld()
  await using server = await startJobServer(world)
  const rendition = '[[renditions]]\nname = "360p"\nheight = 360\ncodec = "h264"\nrate = { mode = "crf", crf = 23 }\n'
  await writeFile(file, `name = "small"\nchunkSeconds = 0\n${rendition}`)
  assert.equal(await runWell(server, 'scenarios', 'add', file), 'Scenario small added\n')
  assert.equal(world.scenarios.get('small')?.chunkSeconds, 0)
  for (const [content, code, message] of [
    ['name = ', 1, /MALFORMED: .*mine\.toml is no TOML: /],
    ['{ "name": ', 1, /MALFORMED: .*mine\.toml is no JSON: /],
    ['height = 3\n', 2, /does not name the scenario/],
    ['name = "small-2"\n', 1, /REQUEST_INVALID: .*renditions/],
  ] as const) {
    await writeFile(file, content)
    const outcome = await run(server, 'scenarios', 'add', file)
    assert.equal(outcome.code, code, outcome.errors)
    assert.match(outcome.errors, message)
  }
  assert.equal((await run(server, 'scenarios', 'add', join(directory.path, 'none'))).code, 2)
})
