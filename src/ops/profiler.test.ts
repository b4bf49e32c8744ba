import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { parseProfileOrder } from './profile-order.ts'
import { type ProfileCaller, Profiler } from './profiler.ts'

const cpu = parseProfileOrder('cpu', { seconds: '1' })
const long = parseProfileOrder('cpu', { seconds: '120' })
const local: ProfileCaller = { remoteAddress: '127.0.0.1', isPage: false, signal: AbortSignal.abort() }

function newProfiler(): Profiler {
  const profiler = new Profiler({ clock: systemClock, log: createLog({ level: 'silent', pretty: false }) })
  profiler.allow(true)
  return profiler
}

async function readAll(chunks: AsyncIterable<string | Uint8Array>): Promise<unknown> {
  return JSON.parse((await buffer(Readable.from(chunks, { objectMode: false }))).toString())
}

/** Resolves when the place is free, by taking and leaving it. */
async function untilFree(profiler: Profiler): Promise<void> {
  const over = new AbortController()
  for (let tries = 0; ; tries++) {
    try {
      const chunks = profiler.begin(long, { ...local, signal: over.signal })
      over.abort()
      await assert.rejects(readAll(chunks), { code: 'SHUTTING_DOWN' })
      return
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'PROFILE_RUNNING') || tries >= 1000) throw error
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/** What Node has loaded of itself is told in a list that its types do not know. */
function isLoaded(): boolean {
  const names: unknown = Reflect.get(process, 'moduleLoadList')
  return Array.isArray(names) && names.includes('NativeModule inspector')
}

test('nothing of V8 is loaded before the first profile', async () => {
  assert.equal(isLoaded(), false)
  await assert.rejects(readAll(newProfiler().begin(cpu, local)), { code: 'SHUTTING_DOWN' })
  assert.equal(isLoaded(), true)
})

test('nothing is taken while it is off, and what is being taken ends with it', async () => {
  const profiler = newProfiler()
  profiler.allow(false)
  assert.throws(() => profiler.begin(cpu, local), { code: 'PROFILING_DISABLED', message: /profiling\.enabled = true/ })
  profiler.allow(true)
  const chunks = profiler.begin(long, { ...local, signal: new AbortController().signal })
  profiler.allow(false)
  await assert.rejects(readAll(chunks), { code: 'PROFILING_DISABLED' })
})

for (const [what, caller, code] of [
  ['another machine', { remoteAddress: '10.0.0.7' }, 'FORBIDDEN'],
  ['a page', { isPage: true }, 'FORBIDDEN'],
  ['another machine with a user', { remoteAddress: '10.0.0.7', user: 'admin' }, undefined],
  ['a page with a user', { isPage: true, user: 'admin' }, undefined],
] as const) {
  test(`${what} is ${code ? 'refused' : 'allowed'}`, async () => {
    const begin = (): AsyncIterable<unknown> => newProfiler().begin(cpu, { ...local, ...caller })
    if (code) assert.throws(begin, { code })
    else await assert.rejects(Array.fromAsync(begin()), { code: 'SHUTTING_DOWN' })
  })
}

test('the place is taken until the answer is over, also when nobody reads it', async () => {
  const profiler = newProfiler()
  const over = new AbortController()
  profiler.begin(long, { ...local, signal: over.signal })
  assert.throws(() => profiler.begin(cpu, local), { code: 'PROFILE_RUNNING', message: /wait until it is over/ })
  over.abort()
  await untilFree(profiler)

  const read = new AbortController()
  const profile = await readAll(profiler.begin(cpu, { ...local, signal: read.signal }))
  assert.ok(typeof profile === 'object' && profile && 'nodes' in profile && 'timeDeltas' in profile)
  assert.throws(() => profiler.begin(cpu, local), { code: 'PROFILE_RUNNING' })
  read.abort()
  await untilFree(profiler)
})

test('a profile of allocations that is broken off leaves the way free for the next', async () => {
  const profiler = newProfiler()
  const signal = AbortSignal.abort()
  await assert.rejects(readAll(profiler.begin(parseProfileOrder('allocations', {}), { ...local, signal })), {
    code: 'SHUTTING_DOWN',
  })
  await untilFree(profiler)
  const order = parseProfileOrder('allocations', { seconds: 1, objects: 'alive', intervalBytes: 1024 })
  const over = new AbortController()
  const profile = readAll(profiler.begin(order, { ...local, signal: over.signal }))
  const kept = Array.from({ length: 10_000 }, (_, index) => ({ index }))
  const found = await profile
  assert.ok(typeof found === 'object' && found && 'head' in found)
  assert.equal(kept.length, 10_000)
  over.abort()
})

test('an order has its defaults, and says what is wrong with it', () => {
  assert.deepEqual(parseProfileOrder('cpu', {}), { kind: 'cpu', seconds: 10 })
  assert.deepEqual(parseProfileOrder('allocations', { seconds: '3', objects: 'alive' }), {
    kind: 'allocations',
    seconds: 3,
    intervalBytes: 32_768,
    objects: 'alive',
  })
  for (const query of [{ seconds: '0' }, { seconds: '121' }, { seconds: 'x' }, { second: '1' }]) {
    assert.throws(() => parseProfileOrder('cpu', query), { code: 'REQUEST_INVALID', message: /^query/ })
  }
})
