import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Type } from 'typebox'
import { configurationPage, exampleToml } from '#lib/config/document.ts'
import { loadConfiguration } from '#lib/config/load.ts'
import { AppError } from '#lib/errors.ts'
import { fileScenarioProblems, fileScenarios, scenariosSettingsSchema } from './scenarios/file-scenarios.ts'
import { jobsSettingsProblems, jobsSettingsSchema, schedulerPolicy, workerSettingsSchema } from './settings.ts'

const schema = Type.Object(
  { jobs: jobsSettingsSchema, worker: workerSettingsSchema, scenarios: scenariosSettingsSchema },
  { additionalProperties: false },
)

async function load(toml: string) {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'millrace-'))
  const file = join(directory.path, 'millrace.toml')
  await writeFile(file, toml, { mode: 0o600 })
  const { value } = await loadConfiguration({
    schema,
    file,
    environment: {},
    environmentPrefix: 'MILLRACE_',
    rules: (settings) => [...jobsSettingsProblems(settings), ...fileScenarioProblems(settings.scenarios)],
  })
  return value
}

const rejects = (toml: string, words: RegExp) =>
  assert.rejects(load(toml), (error) => {
    assert.ok(error instanceof AppError && error.code === 'CONFIG_INVALID')
    assert.match(error.message, words)
    return true
  })

test('without settings everything has its default', async () => {
  const { jobs, worker, scenarios } = await load('')
  assert.equal(jobs.leaseSeconds, 30)
  assert.equal(jobs.heartbeatSeconds, 5)
  assert.equal(jobs.retentionDays, 7)
  assert.equal(worker.metricsPort, 9091)
  assert.equal(worker.slots, 0)
  assert.deepEqual(scenarios, [])
})

test('the scheduler gets its times in milliseconds', async () => {
  const { jobs } = await load('[jobs]\nretryFirstSeconds = 0.5\nstaleLiveSeconds = 7')
  assert.deepEqual(schedulerPolicy(jobs), {
    maxAttempts: 4,
    maxLost: 3,
    retryFirstMs: 500,
    retryMaxMs: 300_000,
    staleMs: { live: 7000, default: 600_000, batch: 1_800_000 },
    unheldMs: 15_000,
    ageMs: 300_000,
  })
})

for (const [toml, words] of [
  ['[jobs]\nheartbeatSeconds = 20', /jobs\.heartbeatSeconds is 20, but a lease/],
  ['[jobs]\nunheldSeconds = 1', /jobs\.unheldSeconds is 1, less than two heartbeats/],
  ['[jobs]\nretryFirstSeconds = 900', /jobs\.retryMaxSeconds is 300, less than/],
  ['[worker]\nslots = 2\nliveReserve = 3', /worker\.liveReserve is 3, more than worker\.slots/],
] as const) {
  test(`"${toml.split('\n')[1]}" is refused`, () => rejects(toml, words))
}

const rung = 'renditions = [{ name = "720p", height = 720, codec = "h264", rate = { mode = "crf", crf = 22 } }]'

test('a scenario of the file has the defaults of all scenarios', async () => {
  const { scenarios } = await load(`[[scenarios]]\nname = "house"\n${rung}`)
  const [scenario] = fileScenarios(scenarios)
  assert.equal(scenario?.chunkSeconds, 60)
  assert.deepEqual(scenario.renditions[0]?.rate, { mode: 'crf', crf: 22 })
})

for (const [what, toml, words] of [
  [
    'a scenario with the name of a preset',
    `[[scenarios]]\nname = "abr-ladder"\n${rung}`,
    /scenarios\[0\]\.name is "abr-ladder", which is a preset/,
  ],
  ['two scenarios of one name', `[[scenarios]]\nname = "a"\n${rung}\n[[scenarios]]\nname = "a"\n${rung}`, /scenarios\[1\]\.name/],
  [
    'a rate with keys of another mode',
    `[[scenarios]]\nname = "a"\n${rung.replace('crf = 22', 'bufferMs = 2')}`,
    /renditions\[0\]\.rate fits none/,
  ],
  ['a scenario that cannot be', `[[scenarios]]\nname = "a"\ngopSeconds = 9\n${rung}`, /scenarios\[0\]\.gopSeconds is 9/],
  ['an odd height', `[[scenarios]]\nname = "a"\n${rung.replace('height = 720', 'height = 721')}`, /renditions\[0\]\.height/],
] as const) {
  test(`${what} is refused in the file`, () => rejects(toml, words))
}

test('the settings can be told in documents', () => {
  const options = { schema, environmentPrefix: 'MILLRACE_', introduction: 'x' }
  assert.match(exampleToml(options), /MILLRACE_JOBS_LEASE_SECONDS/)
  assert.match(configurationPage(options), /`renditions`/)
})

test('the example of a scenario is one', async () => {
  const [, sample = ''] = exampleToml({ schema, environmentPrefix: 'MILLRACE_', introduction: 'x' }).split(
    /^# Ways to encode.*$/m,
  )
  const { scenarios } = await load(sample.replace(/^# .*$/gm, '').replace(/^#(?=.)/gm, ''))
  assert.deepEqual(
    fileScenarios(scenarios).map(({ name }) => name),
    ['house-720p'],
  )
})
