import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { JobMetrics } from '#ops/job-metrics.ts'
import { jobStates, nodeStates, queues } from './model.ts'
import { WorkerMetrics } from './worker/worker-metrics.ts'

const rules = readFileSync(join(import.meta.dirname, '../../deploy/prometheus/millrace-jobs.rules.yml'), 'utf8')
const expressions = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, expression = '']) => expression)

/** Name of a metric and its labels, as its help says: a histogram without an observation has no lines yet. */
async function toldMetrics(): Promise<Map<string, readonly string[]>> {
  const registry = new Registry()
  const jobs = new JobMetrics(registry)
  const zeros = <Name extends string>(names: readonly Name[]) => Object.fromEntries(names.map((name) => [name, 0]))
  jobs.attach(() => ({
    counts: { jobs: zeros(jobStates), readyTasks: zeros(queues), leasedTasks: 0, oldestReadyMs: undefined },
    nodesByState: zeros(nodeStates),
    slots: { total: 0, used: 0 },
    waitingWorkers: 0,
  }))
  for (const to of ['running', 'retrying', 'completed', 'failed'])
    jobs.jobChanged({ to, queue: 'live', waitMs: 1, durationMs: 1 })
  jobs.claimed({ durationMs: 1, taskCount: 1 })
  const worker = new WorkerMetrics()
  worker.watch(() => assert.fail('figures are not asked for'))
  const text = await registry.metrics()
  const told = new Map<string, readonly string[]>()
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
    told.set(
      name,
      [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
    )
  }
  for (const { name } of worker.registry.getMetricsAsArray()) told.set(name, ['kind', 'outcome', 'result'])
  return told
}

test('every alert rule asks for metrics and labels that exist', async () => {
  const told = await toldMetrics()
  assert.equal(expressions.length, [...rules.matchAll(/^ +- alert: /gm)].length)
  for (const expression of expressions) {
    const used = [...expression.matchAll(/(millrace_\w+)(?:\{([^}]*)\})?/g)]
    assert.ok(used.length > 0, expression)
    for (const [, name = '', labels = ''] of used) {
      const known = told.get(name)
      assert.ok(known, `${name} is told`)
      for (const [, label = ''] of labels.matchAll(/(\w+)(?:=|!)/g)) assert.ok(known.includes(label), `${name} has ${label}`)
    }
  }
})

test('every alert rule says what is wrong and what to do', () => {
  const count = expressions.length
  for (const field of ['summary', 'description', 'labels']) {
    assert.equal([...rules.matchAll(new RegExp(`^ +${field}: `, 'gm'))].length, count, field)
  }
})
