import assert from 'node:assert/strict'
import { Session } from 'node:inspector/promises'
import { test } from 'node:test'
import { summarizeAllocations, summarizeCpu } from './profile-summary.ts'

const kept: { readonly index: number; readonly places: readonly number[] }[] = []

/** So much work that it is the first of all functions; without calls, so that the time is its own. */
function workHard(): number {
  let sum = 0
  for (let index = 0; index < 5e7; index++) sum = (sum + index * index) % 1_000_003
  return sum
}

function keepMuch(): void {
  for (let index = 0; index < 50_000; index++) kept.push({ index, places: [index, index, index, index, index, index, index] })
}

async function profile(kind: 'cpu' | 'allocations', work: () => void): Promise<unknown> {
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    if (kind === 'cpu') await session.post('Profiler.start')
    else await session.post('HeapProfiler.startSampling', { samplingInterval: 16_384 })
    work()
    const result = kind === 'cpu' ? await session.post('Profiler.stop') : await session.post('HeapProfiler.stopSampling')
    return result.profile
  } finally {
    session.disconnect()
  }
}

test('the function that did the work is the first of a CPU profile, with its place', async () => {
  const { functions, totalUs, idleUs } = summarizeCpu(await profile('cpu', workHard), 3)
  assert.partialDeepStrictEqual(functions[0], { name: 'workHard', place: 'src/cli/profile-summary.test.ts:9' })
  assert.ok((functions[0]?.self ?? 0) > (totalUs - idleUs) / 2)
  assert.ok(functions.length <= 3 && functions.every(({ name }) => name !== '(idle)'))
})

test('the function that allocated most is the first of a profile of allocations', async () => {
  const { functions, totalBytes } = summarizeAllocations(await profile('allocations', keepMuch), 3)
  assert.partialDeepStrictEqual(functions[0], { name: 'keepMuch', place: 'src/cli/profile-summary.test.ts:15' })
  assert.ok(totalBytes > 1e6)
  assert.equal(kept.length, 50_000)
})

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber })

test('a sample lasts until the next one; what V8 does itself is told apart, and functions are counted once', () => {
  const summary = summarizeCpu(
    {
      nodes: [
        { id: 1, callFrame: frame('(idle)') },
        { id: 2, callFrame: frame('(garbage collector)') },
        { id: 3, callFrame: frame('(program)') },
        { id: 4, callFrame: frame('run', 'file:///usr/src/millrace/src/api/a.ts', 4) },
        { id: 5, callFrame: frame('run', 'file:///usr/src/millrace/src/api/a.ts', 4) },
        { id: 6, callFrame: frame('', 'file:///usr/src/millrace/node_modules/pg/src/b.js', 0) },
      ],
      startTime: 1000,
      endTime: 1360,
      samples: [1, 2, 3, 4, 5, 6],
      timeDeltas: [10, 100, 20, 30, 40, 50],
    },
    5,
  )
  assert.deepEqual(summary, {
    totalUs: 360,
    idleUs: 100,
    collectorUs: 20,
    nativeUs: 30,
    functions: [
      { name: '(anonymous)', place: 'node_modules/pg/src/b.js:1', self: 110 },
      { name: 'run', place: 'src/api/a.ts:5', self: 90 },
    ],
  })
})

test('something else is refused', () => {
  for (const other of [{}, undefined, { head: {} }, { nodes: [] }]) {
    assert.throws(() => summarizeCpu(other, 5), { code: 'MALFORMED' })
    assert.throws(() => summarizeAllocations(other, 5), { code: 'MALFORMED' })
  }
})
