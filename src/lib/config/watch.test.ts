import assert from 'node:assert/strict'
import { rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { ReloadWatch, type ReloadRequest } from './watch.ts'

const log = pino({ level: 'silent' })

/** Collects requests until disposed. */
function collect(file: string | undefined) {
  const stop = new AbortController()
  const requests: ReloadRequest[] = []
  const before = process.listenerCount('SIGHUP')
  const watch = new ReloadWatch({ file, signal: stop.signal, log, debounceMs: 20 })
  const done = (async () => {
    for await (const request of watch) requests.push(request)
  })()
  return {
    requests,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await done
      assert.equal(process.listenerCount('SIGHUP'), before)
    },
  }
}

test('a file that is written, and one that is renamed over it, ask for a reload', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'c.toml')
  await writeFile(file, 'a')
  await using watched = collect(file)
  await writeFile(file, 'changed')
  await until(() => watched.requests.length === 1)
  await writeFile(join(directory.path, 'other'), 'is no reason')
  await writeFile(join(directory.path, 'new'), 'renamed over')
  await rename(join(directory.path, 'new'), file)
  await until(() => watched.requests.length === 2)
  assert.deepEqual(watched.requests, [{ cause: 'file-change' }, { cause: 'file-change' }])
})

test('a link that is swapped beside the file asks for a reload', async () => {
  await using directory = await temporaryDirectory()
  const at = (name: string): string => join(directory.path, name)
  await writeFile(at('v1'), '1')
  await writeFile(at('v2'), '22')
  await symlink('v1', at('data'))
  await symlink('data', at('c.toml'))
  await using watched = collect(at('c.toml'))
  await symlink('v2', at('data2'))
  await rename(at('data2'), at('data'))
  await until(() => watched.requests.length === 1)
})

test('SIGHUP asks for a reload, with and without a file', async () => {
  await using watched = collect(undefined)
  process.kill(process.pid, 'SIGHUP')
  await until(() => watched.requests.length === 1)
  assert.deepEqual(watched.requests, [{ cause: 'signal' }])
})

test('nothing to watch is no failure', async () => {
  const stop = new AbortController()
  stop.abort()
  for await (const _ of new ReloadWatch({ file: '/nowhere/c.toml', signal: stop.signal, log })) assert.fail()
})
