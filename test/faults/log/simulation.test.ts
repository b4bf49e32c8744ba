import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { planOf } from './scenario.ts'
import { runPlan, shrink, type Outcome } from './seeds.ts'

// Runs of a whole log against a simulated world, each decided by its seed. The seeds are always the same, unless new ones are asked for:
//   MILLRACE_TEST_SEEDS=20000   so many that nobody has tried before; what they find belongs into the code, or into the world
//   MILLRACE_TEST_SEED=4711     this one alone, with its history

const usualCount = 1200
const threads = 2
const historyLines = 60

const workSchema = Type.Object({ seeds: Type.Array(Type.Integer()) })
const reportSchema = Type.Object({ failures: Type.Array(Type.String()) })

async function runSeeds(seeds: readonly number[]): Promise<string[]> {
  const failures: string[] = []
  for (const seed of seeds) {
    const outcome = await runPlan(planOf(seed))
    if (outcome.message !== undefined) failures.push(describe(outcome, await shrink(outcome)))
    if (failures.length === 5) break
  }
  return failures
}

function describe({ plan, message }: Outcome, shrunk: Outcome): string {
  return [
    `seed ${plan.seed}: ${message}; repeat with MILLRACE_TEST_SEED=${plan.seed}`,
    `with ${shrunk.plan.faults.join(', ') || 'no faults'} in ${shrunk.plan.durationMs} ms: ${shrunk.stack ?? ''}`,
    ...shrunk.history.slice(-historyLines).map((line) => `  ${line}`),
  ].join('\n')
}

async function runInThread(seeds: readonly number[]): Promise<string[]> {
  const worker = new Worker(import.meta.filename, { workerData: { seeds } })
  try {
    const report = await new Promise<unknown>((resolve, reject) => {
      worker.on('message', resolve)
      worker.on('error', reject)
    })
    return Value.Parse(reportSchema, report).failures
  } finally {
    await worker.terminate()
  }
}

function chooseSeeds(): number[] {
  const newCount = Number(env['MILLRACE_TEST_SEEDS'] ?? 0)
  const start = Date.now() % 2 ** 31
  if (newCount > 0) return Array.from({ length: newCount }, (_, index) => start + index)
  return Array.from({ length: usualCount }, (_, index) => index + 1)
}

if (!isMainThread) {
  const { seeds } = Value.Parse(workSchema, workerData)
  parentPort?.postMessage({ failures: await runSeeds(seeds) })
} else if (env['MILLRACE_TEST_SEED'] !== undefined) {
  const seed = Number(env['MILLRACE_TEST_SEED'])
  test(`seed ${seed} keeps what it acknowledges`, async () => {
    const outcome = await runPlan(planOf(seed))
    assert.equal(outcome.message, undefined, [outcome.stack, ...outcome.history].join('\n'))
  })
} else {
  test('whatever fails and whenever the process ends, what was acknowledged is kept, once and in order', async () => {
    const seeds = chooseSeeds()
    const shares = Array.from({ length: threads }, (_, thread) => seeds.filter((_seed, index) => index % threads === thread))
    const failures = await Promise.all(shares.map(runInThread))
    assert.equal(failures.flat().join('\n\n'), '')
  })
}
