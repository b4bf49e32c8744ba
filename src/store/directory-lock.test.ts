import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { lockDirectory } from './directory-lock.ts'

const module = new URL('directory-lock.ts', import.meta.url).href
const holderScript = `
  const { lockDirectory } = await import(${JSON.stringify(module)})
  await lockDirectory(process.argv[1]).then(
    () => { console.log('held'); setInterval(() => {}, 1000) },
    (error) => { console.log(error.code) },
  )`

function startHolder(directory: string) {
  return spawn(process.execPath, ['--input-type=module', '-e', holderScript, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(holder: ReturnType<typeof startHolder>): Promise<string> {
  const [line] = await once(holder.stdout, 'data')
  return String(line).trim()
}

test('one holder at a time within a process; disposing of it twice does nothing', async () => {
  await using directory = await temporaryDirectory()
  const lock = await lockDirectory(directory.path)
  await assert.rejects(lockDirectory(directory.path), { code: 'LOG_UNAVAILABLE', message: new RegExp(`process ${process.pid} `) })
  await lock[Symbol.asyncDispose]()
  const next = await lockDirectory(directory.path)
  await lock[Symbol.asyncDispose]()
  await assert.rejects(lockDirectory(directory.path), { code: 'LOG_UNAVAILABLE' })
  await next[Symbol.asyncDispose]()
})

test('a process that is killed lets go at once; until then another one is refused and told who it is', async () => {
  await using directory = await temporaryDirectory()
  for (let round = 0; round < 3; round++) {
    const holder = startHolder(directory.path)
    assert.equal(await firstLine(holder), 'held')
    await assert.rejects(lockDirectory(directory.path), {
      code: 'LOG_UNAVAILABLE',
      message: new RegExp(`process ${holder.pid} `),
    })
    holder.kill('SIGKILL')
    await once(holder, 'close')
    await using _lock = await lockDirectory(directory.path)
  }
})

test('of many processes that start at once one gets it', async () => {
  await using directory = await temporaryDirectory()
  const holders = Array.from({ length: 4 }, () => startHolder(directory.path))
  const closed = Promise.all(holders.map((holder) => once(holder, 'close')))
  const lines = await Promise.all(holders.map(firstLine))
  for (const holder of holders) holder.kill('SIGKILL')
  await closed
  assert.deepEqual(lines.toSorted(), ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE', 'LOG_UNAVAILABLE', 'held'])
})

test('a directory that is not there cannot be locked', async () => {
  await using directory = await temporaryDirectory()
  await assert.rejects(lockDirectory(`${directory.path}/missing`), { code: 'LOG_UNAVAILABLE' })
})
