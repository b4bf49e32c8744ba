import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeBatch } from '#formats/kafka/records.ts'
import { systemClock } from '#lib/clock.ts'
import { openLog } from '../../test/support/log-agent.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { runCommandLine } from './program.ts'

async function run(directory: string, ...argv: string[]) {
  const terminal = new MemoryTerminal()
  const config = join(directory, 'millrace.toml')
  const database = `sqlite://${join(directory, 'log.sqlite')}`
  await writeFile(
    config,
    `[server]\ndataDirectory = "${directory}"\n[database]\nurl = "${database}"\n[logging]\nlevel = "silent"\n`,
  )
  const { signal } = new AbortController()
  const code = await runCommandLine([...argv, '--config', config], { terminal, environment: {}, clock: systemClock, signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

/** A log with two objects that was closed in order. */
async function fill(directory: string): Promise<void> {
  await using log = await openLog({ directory })
  await log.agent.topics.create({ name: 'orders', partitionCount: 2 })
  for (let round = 0; round < 2; round++) {
    for (const partition of [0, 1]) {
      const value = Buffer.from(`${round}`)
      const batch = encodeBatch([{ key: null, value, headers: [], timestampMs: 1000 }])
      await log.agent.append({ topic: 'orders', partition }, batch)
    }
    await log.agent.flush()
  }
}

function objectFiles(directory: string): string[] {
  return globSync('objects/data/**/*.log', { cwd: directory }).map((file) => join(directory, file))
}

test('a sound log is verified, for people and for programs', async () => {
  await using directory = await temporaryDirectory()
  await fill(directory.path)
  const { code, output } = await run(directory.path, 'log', 'verify')
  assert.equal(code, 0)
  assert.match(output, /^2 objects, 4 batches, .* checked: all is well\n$/)
  const lines = (await run(directory.path, 'log', 'verify', '--json')).output.trim().split('\n')
  assert.partialDeepStrictEqual(JSON.parse(lines.at(-1) ?? ''), { kind: 'totals', objects: 2, batches: 4, findings: 0 })
})

test('damage is found, and said by the exit code', async () => {
  await using directory = await temporaryDirectory()
  await fill(directory.path)
  const [file = ''] = objectFiles(directory.path)
  await rm(file)
  const { code, output, errors } = await run(directory.path, 'log', 'verify')
  assert.equal(code, 1)
  assert.match(
    output,
    /^FINDING +WHERE +WHAT\nmissing +data\/v1\/.* +the object is not there; 2 runs of records are lost with it\n/,
  )
  assert.match(errors, /^error LOG_DAMAGED: 1 findings/)
  const [line = ''] = (await run(directory.path, 'log', 'verify', '--json')).output.split('\n')
  assert.partialDeepStrictEqual(JSON.parse(line), { kind: 'missing', extents: 2 })
})

test('a lost database is built again from the objects, and only into an empty one', async () => {
  await using directory = await temporaryDirectory()
  await fill(directory.path)
  const refused = await run(directory.path, 'log', 'rebuild')
  assert.deepEqual([refused.code, /LOG_NOT_EMPTY/.test(refused.errors)], [1, true])
  for (const file of globSync('log.sqlite*', { cwd: directory.path })) await rm(join(directory.path, file))
  const { code, output, errors } = await run(directory.path, 'log', 'rebuild')
  assert.deepEqual([code, errors], [0, ''])
  assert.match(output, /^1 topics with 2 partitions in 2 objects/)
  assert.equal((await run(directory.path, 'log', 'verify')).code, 0)
  await using log = await openLog({ directory: directory.path })
  assert.equal(log.agent.topics.get('orders').partition(1).highWatermark, 2)
  assert.equal(log.agent.topics.get('orders').config.retentionMs, -1)
})

test('records that are missing are named by a rebuild', async () => {
  await using directory = await temporaryDirectory()
  await fill(directory.path)
  await using third = await openLog({ directory: directory.path })
  await third.agent.append(
    { topic: 'orders', partition: 0 },
    encodeBatch([{ key: null, value: null, headers: [], timestampMs: 1 }]),
  )
  await third[Symbol.asyncDispose]()
  const files = objectFiles(directory.path).toSorted((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs)
  await rm(files[1] ?? '')
  for (const file of globSync('log.sqlite*', { cwd: directory.path })) await rm(join(directory.path, file))
  const { code, output } = await run(directory.path, 'log', 'rebuild')
  assert.equal(code, 1)
  assert.match(output, /\ngap +orders\/0 +offsets 1 to 1 are nowhere\n/)
})

test('a directory without a database is no sound log', async () => {
  await using directory = await temporaryDirectory()
  const { code, errors } = await run(directory.path, 'log', 'verify')
  assert.deepEqual([code, /there is no database .*log\.sqlite/.test(errors)], [1, true])
})
