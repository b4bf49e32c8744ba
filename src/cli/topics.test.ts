import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { startApi, type TestApi } from '#api/api.fixture.ts'
import { systemClock } from '#lib/clock.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { runCommandLine } from './program.ts'

type Outcome = { readonly code: number; readonly output: string; readonly errors: string }

/** Runs a command against a server. */
async function run(
  api: TestApi,
  argv: readonly string[],
  { terminal = new MemoryTerminal(), signal = new AbortController().signal } = {},
): Promise<Outcome> {
  const environment = { MILLRACE_URL: api.server.url }
  const code = await runCommandLine(argv, { terminal, environment, clock: systemClock, signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

async function runWell(api: TestApi, ...argv: string[]): Promise<string> {
  const { code, output, errors } = await run(api, argv)
  assert.equal(code, 0, errors)
  return output
}

/** The output with the times of records taken out. */
function withoutTimes(output: string): string[] {
  return output.replaceAll(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} {2}/gm, '').split('\n')
}

test('topics are made, listed, described and deleted', async () => {
  await using api = await startApi()
  assert.equal(
    await runWell(api, 'topics', 'create', 'orders', '-p', '2', '--retention', '12h'),
    'Topic orders made: 2 partitions\n',
  )
  assert.equal(
    await runWell(api, 'topics', 'list', '--search', 'orders'),
    [
      'NAME    PARTITIONS  RECORDS  STORED  DURABILITY  KEPT',
      'orders           2        0     0 B  wal         12:00 h',
      '',
    ].join('\n'),
  )
  assert.deepEqual(
    JSON.parse(await runWell(api, 'topics', 'list', '--json')).map(({ name }: { name: string }) => name),
    ['millrace.events', 'orders'],
  )
  const described = await runWell(api, 'topics', 'describe', 'orders')
  assert.match(described, /^name +orders\n/)
  assert.match(described, /\nPARTITION +STATE +START +END +STORED +EPOCH\n +0 +online +0 +0 +0 B +1\n/)
  assert.equal(await runWell(api, 'topics', 'delete', 'orders', '--json'), '{"name":"orders","outcome":"deleted"}\n')
  const refused = await run(api, ['topics', 'describe', 'orders'])
  assert.deepEqual(
    [refused.code, refused.errors],
    [1, 'error TOPIC_NOT_FOUND: there is no topic "orders"; create it first\nhint: millrace topics list shows what there is\n'],
  )
})

test('a file of lines is produced and consumed again', async () => {
  await using api = await startApi()
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'lines.txt')
  await writeFile(file, 'a:one\r\nb:two:2\n\nc:three'.replace('\n\n', '\n'))
  await runWell(api, 'topics', 'create', 'orders')
  const produced = await runWell(api, 'produce', 'orders', '--file', file, '-K', ':')
  assert.equal(produced, '3 records written to orders, partition 0: 0 to 2\n')
  assert.deepEqual(withoutTimes(await runWell(api, 'consume', 'orders')), ['0:0  a  one', '0:1  b  two:2', '0:2  c  three', ''])
  assert.deepEqual(withoutTimes(await runWell(api, 'consume', 'orders', '--from', '1', '--partition', '0', '-n', '1')), [
    '0:1  b  two:2',
    '',
  ])
  assert.equal(await runWell(api, 'consume', 'orders', '--from', 'latest'), '')
  assert.equal(withoutTimes(await runWell(api, 'consume', 'orders', '--from', '1h ago')).length, 4)
})

test('what is consumed as JSON can be produced again, byte for byte', async () => {
  await using api = await startApi()
  await using directory = await temporaryDirectory()
  await runWell(api, 'topics', 'create', 'orders', '-p', '3')
  await runWell(api, 'topics', 'create', 'copy')
  const records = [
    { key: 'k', value: 'text\n', headers: [{ key: 'h', value: null }], timestamp: '2026-01-01T00:00:00.000Z' },
    { key: null, value: { base64: '/w==' }, headers: [], timestamp: '2026-01-01T00:00:01.000Z' },
    { key: 'gone', value: null, headers: [], timestamp: '2026-01-01T00:00:02.000Z' },
  ]
  const file = join(directory.path, 'records.ndjson')
  await writeFile(file, `${records.map((record) => JSON.stringify(record)).join('\n')}\n\n`)
  const result = JSON.parse(await runWell(api, 'produce', 'orders', '--file', file, '--json'))
  assert.equal(result.records, 3)
  await writeFile(file, await runWell(api, 'consume', 'orders', '--json'))
  await runWell(api, 'produce', 'copy', '--file', file, '--json')
  const copied = (await runWell(api, 'consume', 'copy', '--json')).trim().split('\n')
  const parsed = copied.map((line) => {
    const { partition: _, offset: __, ...record } = JSON.parse(line)
    return record
  })
  const byTime = (a: { timestamp: string }, b: { timestamp: string }): number => (a.timestamp < b.timestamp ? -1 : 1)
  assert.deepEqual(parsed.toSorted(byTime), records)
})

test('lines that are wrong are named, with what was written before', async (t) => {
  await using api = await startApi()
  await using directory = await temporaryDirectory()
  await runWell(api, 'topics', 'create', 'orders')
  const file = join(directory.path, 'lines')
  for (const [name, content, argv, code, message] of [
    ['no separator', 'a:1\nb\n', ['-K', ':'], 1, /MALFORMED: line 2 has no ":"/],
    ['no JSON', '{"value":1}\noops\n', ['--json'], 1, /MALFORMED: line 2 is not valid JSON/],
    ['no record', '[1]\n', ['--json'], 1, /MALFORMED: line 1 is no record/],
    ['an unknown field', '{"valeu":1}\n', ['--json'], 1, /REQUEST_INVALID: body\.records\.0\.valeu/],
    ['no UTF-8', Buffer.from([0x61, 0xff, 0x0a]), [], 1, /MALFORMED: near line 1 there is no UTF-8/],
    ['an unknown partition', 'a\n', ['-p', '7'], 1, /PARTITION_NOT_FOUND/],
    ['both forms of keys', 'a\n', ['--json', '-K', ':'], 2, /USAGE: --json and --key-separator/],
  ] as const) {
    await t.test(name, async () => {
      await writeFile(file, content)
      const outcome = await run(api, ['produce', 'orders', '--file', file, ...argv])
      assert.match(outcome.errors, message)
      assert.equal(outcome.code, code)
    })
  }
  const missing = await run(api, ['produce', 'orders', '--file', join(directory.path, 'nope')])
  assert.deepEqual([missing.code, /cannot be read/.test(missing.errors)], [2, true])
  await writeFile(file, `${'x'.repeat(1_500_000)}\n${'y\n'.repeat(10)}`)
  const partly = await run(api, ['produce', 'orders', '--file', file])
  assert.match(partly.errors, /RECORD_BATCH_TOO_LARGE/)
})

test('the real program produces from standard input', async () => {
  await using api = await startApi()
  await runWell(api, 'topics', 'create', 'orders')
  const main = join(import.meta.dirname, '../main.ts')
  const program = spawn(process.execPath, [main, 'produce', 'orders', '--url', api.server.url, '--ack', 'none'], {
    stdio: 'pipe',
  })
  const output = text(program.stdout)
  program.stdin.write('first\nsec')
  await until(() => api.agent.topics.get('orders').partition(0).highWatermark === 1)
  program.stdin.end('ond\n')
  assert.equal(await output, '2 records written to orders, partition 0: 0 to 1\n')
})

test('following goes on with what comes, over a break of the server, until Ctrl+C', async () => {
  await using api = await startApi()
  await runWell(api, 'topics', 'create', 'orders')
  const put = async (value: string) => {
    await api.call('POST', '/api/v1/topics/orders/records', { records: [{ value }] })
  }
  await put('one')
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const following = run(api, ['consume', 'orders', '-f'], { terminal, signal: stop.signal })
  await until(() => terminal.output.includes('one'))
  await put('two')
  await until(() => terminal.output.includes('two'))
  stop.abort()
  assert.equal((await following).code, 0)
  assert.deepEqual(withoutTimes(terminal.output), ['0:0  -  one', '0:1  -  two', ''])
})

test('a group goes on where it was, and is described and reset', async () => {
  await using api = await startApi()
  await runWell(api, 'topics', 'create', 'orders')
  for (let value = 0; value < 5; value++) await api.call('POST', '/api/v1/topics/orders/records', { records: [{ value }] })
  assert.equal(withoutTimes(await runWell(api, 'consume', 'orders', '-g', 'work', '-n', '2')).length, 3)
  assert.deepEqual(withoutTimes(await runWell(api, 'consume', 'orders', '-g', 'work', '-n', '1')), ['0:2  -  2', ''])
  assert.equal(await runWell(api, 'groups', 'list'), ['GROUP  STATE  MEMBERS  PROTOCOL', 'work   Empty        0', ''].join('\n'))
  assert.match(await runWell(api, 'groups', 'describe', 'work'), /\norders +0 +3 +5 +2\n/)
  const dry = await runWell(api, 'groups', 'reset', 'work', '--topic', 'orders', '--to', '-2', '--dry-run')
  assert.match(dry, /\norders +0 +3 +1 +4\n\nNothing was changed/)
  for (const [to, after] of [
    ['earliest', 0],
    ['+3', 3],
    ['4', 4],
    ['2h ago', 0],
    ['latest', 5],
  ] as const) {
    const answer = await runWell(api, 'groups', 'reset', 'work', '--topic', 'orders', '--to', to, '--json')
    assert.equal(JSON.parse(answer).offsets[0].after, after, to)
  }
  const refused = await run(api, ['groups', 'reset', 'work', '--topic', 'orders', '--to', 'noon'])
  assert.deepEqual([refused.code, /--to "noon" is neither/.test(refused.errors)], [2, true])
  assert.match((await run(api, ['groups', 'describe', 'nope'])).errors, /GROUP_NOT_FOUND.*\nhint: millrace groups list/)
})

test('an offset needs its partition', async () => {
  await using api = await startApi()
  const { code, errors } = await run(api, ['consume', 'orders', '--from', '5'])
  assert.deepEqual([code, /name one with --partition/.test(errors)], [2, true])
})
