import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Registry } from 'prom-client'
import { Type, type Static } from 'typebox'
import { Parse } from 'typebox/value'
import { WorkerMetrics } from '#jobs/worker/worker-metrics.ts'
import { Metrics } from '#ops/metrics.ts'
import { startControl, startWorker } from '../support/fleet.ts'
import { type Millrace, showOutputOnFailure, startMillrace } from '../support/program.ts'
import { promqlNames } from '../support/promql.ts'
import { until } from '../support/until.ts'

const deploy = join(import.meta.dirname, '../../deploy')
const dashboardFiles = globSync(join(deploy, 'grafana/dashboards/*.json')).toSorted()
const ruleFiles = globSync(join(deploy, 'prometheus/*.rules.yml')).toSorted()

/** What Prometheus itself says of each scrape. */
const ownLabels = ['instance', 'job']
/** What Grafana itself puts in. */
const ownVariable = '__rate_interval'

const datasourceSchema = Type.Object({ type: Type.Literal('prometheus'), uid: Type.Literal('${datasource}') })
const panelSchema = Type.Object({
  id: Type.Integer({ minimum: 1 }),
  title: Type.String({ minLength: 1 }),
  type: Type.Enum(['timeseries', 'stat', 'bargauge']),
  datasource: datasourceSchema,
  gridPos: Type.Object({ x: Type.Integer(), y: Type.Integer(), w: Type.Integer(), h: Type.Integer() }),
  fieldConfig: Type.Object({ defaults: Type.Object({ unit: Type.String({ minLength: 1 }) }) }),
  targets: Type.Array(Type.Object({ refId: Type.String(), expr: Type.String(), legendFormat: Type.Optional(Type.String()) }), {
    minItems: 1,
  }),
})
const variableSchema = Type.Union([
  Type.Object({ name: Type.Literal('datasource'), type: Type.Literal('datasource'), query: Type.Literal('prometheus') }),
  Type.Object({
    name: Type.String(),
    type: Type.Literal('query'),
    datasource: datasourceSchema,
    query: Type.Object({ query: Type.String({ pattern: String.raw`^label_values\(\w+, \w+\)$` }) }),
  }),
])
const dashboardSchema = Type.Object({
  uid: Type.String({ pattern: '^millrace-' }),
  title: Type.String({ minLength: 1 }),
  schemaVersion: Type.Integer({ minimum: 41 }),
  templating: Type.Object({ list: Type.Array(variableSchema) }),
  panels: Type.Array(panelSchema, { minItems: 1 }),
})
type Panel = Static<typeof panelSchema>

function readDashboard(file: string): Static<typeof dashboardSchema> {
  return Parse(dashboardSchema, JSON.parse(readFileSync(file, 'utf8')))
}

/** Labels of each metric that is registered, by its name. */
function declaredLabels(...registries: readonly Registry[]): Map<string, readonly string[]> {
  const metrics = registries.flatMap((registry) => registry.getMetricsAsArray())
  return new Map(
    metrics.map((metric) => {
      // The types of prom-client do not know it.
      const labels: unknown = Reflect.get(metric, 'labelNames')
      assert.ok(Array.isArray(labels), metric.name)
      return [metric.name, labels.map(String)]
    }),
  )
}

/** Names and kinds of the metrics that a process tells of. */
async function toldKinds(address: string): Promise<Map<string, string>> {
  const text = await (await fetch(address)).text()
  return new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', kind = '']) => [name, kind]))
}

suite('alerts and dashboards ask for what Millrace tells', () => {
  const stack = new AsyncDisposableStack()
  let told: ReadonlyMap<string, string>
  let declared: ReadonlyMap<string, readonly string[]>

  before(async () => {
    const server: Millrace = stack.use(await startControl())
    const worker: Millrace = stack.use(await startWorker([server.url]))
    told = new Map([...(await toldKinds(server.metricsUrl)), ...(await toldKinds(`${worker.workerUrl}/metrics`))])
    const metrics = new Metrics({ version: '1' })
    metrics.jobs.attach(() => assert.fail('figures are not asked for'))
    const ofWorker = new WorkerMetrics()
    ofWorker.watch(() => assert.fail('figures are not asked for'))
    declared = declaredLabels(metrics.registry, ofWorker.registry)
  })
  after(() => stack.disposeAsync())

  /** Labels of what a selector names: a metric, or a part of a histogram. */
  function labelsOf(selector: string): readonly string[] {
    if (selector === 'up') return []
    const [, base = selector, part] = /^(.+)_(bucket|sum|count)$/.exec(selector) ?? []
    const isPart = told.get(base) === 'histogram'
    const name = isPart ? base : selector
    assert.ok(told.has(name), `${selector} is told`)
    assert.ok(isPart || told.get(name) !== 'histogram', `${selector} is a histogram; ask for its _bucket, _sum or _count`)
    return [...(declared.get(name) ?? assert.fail(`${name} is registered`)), ...(part === 'bucket' ? ['le'] : [])]
  }

  function checkExpression(expression: string, where: string): void {
    const { selected, grouped } = promqlNames(expression)
    assert.ok(selected.length > 0, `${where} names a metric: ${expression}`)
    for (const { metric, labels } of selected) {
      const known = [...labelsOf(metric), ...ownLabels]
      for (const label of labels) assert.ok(known.includes(label), `${where}: ${metric} has the label ${label}`)
      const isRate = new RegExp(String.raw`\b(rate|increase)\(${metric}\b`).test(expression)
      if (isRate) assert.match(metric, /_(total|bucket|sum|count)$/, `${where}: a rate is of what only grows`)
    }
    const all = selected.flatMap(({ metric }) => labelsOf(metric))
    for (const label of grouped) assert.ok([...all, ...ownLabels].includes(label), `${where}: one of its metrics has ${label}`)
  }

  test('there are dashboards and rules', () => {
    const names = dashboardFiles.map((file) => basename(file, '.json').replace('millrace-', ''))
    assert.deepEqual(names, ['control-plane', 'encoding', 'jobs', 'log', 'streams', 'workers'])
    assert.deepEqual(
      ruleFiles.map((file) => basename(file, '.rules.yml').replace('millrace-', '')),
      ['backup', 'jobs', 'log', 'streams'],
    )
  })

  for (const file of dashboardFiles) {
    test(`dashboard ${basename(file)}`, () => {
      const { uid, panels, templating } = readDashboard(file)
      assert.equal(`${uid}.json`, basename(file))
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'each panel has an id of its own')
      requireApart(panels)
      const names = templating.list.map(({ name }) => name)
      assert.equal(names[0], 'datasource')
      for (const variable of templating.list) {
        if (variable.type !== 'query') continue
        const [, metric = '', label = ''] = /\((\w+), (\w+)\)/.exec(variable.query.query) ?? []
        assert.ok([...labelsOf(metric), ...ownLabels].includes(label), `$${variable.name}: ${metric} has ${label}`)
      }
      for (const { title, targets } of panels) {
        for (const { expr, legendFormat = '' } of targets) {
          for (const [, variable = ''] of expr.matchAll(/\$(\w+)/g)) {
            assert.ok([...names, ownVariable].includes(variable), `${title}: $${variable} is defined`)
          }
          checkExpression(expr, title)
          const { selected, grouped } = promqlNames(expr)
          const known = [...grouped, ...selected.flatMap(({ metric }) => labelsOf(metric)), ...ownLabels]
          for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
            assert.ok(known.includes(label), `${title}: legend names ${label}`)
        }
      }
    })
  }

  for (const file of ruleFiles) {
    test(`rules ${basename(file)}`, () => {
      const rules = readFileSync(file, 'utf8')
      const names = [...rules.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = '']) => name)
      const expressions = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, expression = '']) => expression)
      assert.equal(new Set(names).size, names.length)
      assert.ok(names.length > 0 && expressions.length === names.length)
      for (const [index, expression] of expressions.entries()) checkExpression(expression, names[index] ?? '')
      for (const field of ['summary', 'description', 'labels'])
        assert.equal([...rules.matchAll(new RegExp(`^ +${field}: `, 'gm'))].length, names.length, field)
    })
  }
})

test('a worker beside a server tells its metrics on the page of the server', { timeout: 60_000 }, async (t) => {
  await using server = await startMillrace({ env: { MILLRACE_WORKER_ENABLED: 'true' } })
  showOutputOnFailure(t, server)
  const isTold = async (): Promise<boolean> => (await toldKinds(server.metricsUrl)).has('millrace_worker_slots')
  await until(isTold, { what: 'the worker to be on the page', timeoutMs: 30_000 })
  const worker = new WorkerMetrics()
  worker.watch(() => assert.fail('figures are not asked for'))
  const names = worker.registry.getMetricsAsArray().map(({ name }) => name)
  const text = await (await fetch(server.metricsUrl)).text()
  for (const name of names) assert.equal(text.split(`# TYPE ${name} `).length, 2, `${name} is told once`)
  assert.match(text, /^millrace_jobs\{/m)
  assert.match(text, /^millrace_worker_slots [1-9]/m)
})

/** Panels lie on a grid of 24 columns, and none on another. */
function requireApart(panels: readonly Panel[]): void {
  for (const [index, { title, gridPos: one }] of panels.entries()) {
    assert.ok(one.x >= 0 && one.x + one.w <= 24, `${title} is inside the grid`)
    for (const { title: otherTitle, gridPos: other } of panels.slice(index + 1)) {
      const isBeside = one.x + one.w <= other.x || other.x + other.w <= one.x
      const isAbove = one.y + one.h <= other.y || other.y + other.h <= one.y
      assert.ok(isBeside || isAbove, `"${title}" and "${otherTitle}" do not overlap`)
    }
  }
}
