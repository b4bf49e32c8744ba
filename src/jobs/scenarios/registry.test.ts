import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { AppError } from '#lib/errors.ts'
import { openDatabase } from '#store/sql/database.ts'
import { scenarioOf } from '../plan/probe.fixture.ts'
import { sqlScenarioStore } from './scenario-store.ts'
import { ScenarioRegistry } from './registry.ts'

async function openRegistry() {
  const database = await openDatabase({ url: 'sqlite::memory:', log: pino({ level: 'silent' }) })
  const stored = sqlScenarioStore(database.db, { nowMs: () => 1 })
  const registry = new ScenarioRegistry({ file: [scenarioOf({ name: 'house' })], stored })
  return { registry, stored, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

const rejects = (promise: Promise<unknown>, code: string, words: RegExp) =>
  assert.rejects(promise, (error) => error instanceof AppError && error.code === code && words.test(error.message))

test('a scenario is found wherever it comes from', async () => {
  await using opened = await openRegistry()
  const { registry } = opened
  await registry.add(scenarioOf({ name: 'mine' }))
  const origins = await Promise.all(['abr-ladder', 'house', 'mine'].map(async (name) => (await registry.require(name)).origin))
  assert.deepEqual(origins, ['preset', 'file', 'api'])
  const names = (await registry.list()).map(({ scenario, origin }) => `${origin}/${scenario.name}`)
  assert.equal(names[0], 'preset/abr-ladder')
  assert.deepEqual(names.slice(-2), ['file/house', 'api/mine'])
})

test('a scenario that is not there is refused, with the name that was meant', async () => {
  await using opened = await openRegistry()
  await rejects(opened.registry.require('1080p30-h246'), 'SCENARIO_NOT_FOUND', /did you mean "1080p30-h264"\?/)
  await rejects(opened.registry.require('something-else-entirely'), 'SCENARIO_NOT_FOUND', /scenarios list/)
})

test('a scenario of the API is added, replaced and removed', async () => {
  await using opened = await openRegistry()
  const { registry } = opened
  await registry.add(scenarioOf({ name: 'mine' }))
  await rejects(registry.add(scenarioOf({ name: 'mine' })), 'SCENARIO_EXISTS', /mine/)
  await registry.replace(scenarioOf({ name: 'mine', chunkSeconds: 30 }))
  assert.equal((await registry.require('mine')).scenario.chunkSeconds, 30)
  await registry.remove('mine')
  assert.equal(await registry.find('mine'), undefined)
  await rejects(registry.remove('mine'), 'SCENARIO_NOT_FOUND', /mine/)
  await rejects(registry.replace(scenarioOf({ name: 'mine' })), 'SCENARIO_NOT_FOUND', /mine/)
})

test('presets and scenarios of the file stay as they are', async () => {
  await using opened = await openRegistry()
  const { registry } = opened
  for (const [name, words] of [
    ['abr-ladder', /is a preset/],
    ['house', /configuration file/],
  ] as const) {
    await rejects(registry.add(scenarioOf({ name })), 'SCENARIO_EXISTS', words)
    await rejects(registry.replace(scenarioOf({ name })), 'SCENARIO_EXISTS', words)
    await rejects(registry.remove(name), 'SCENARIO_EXISTS', words)
  }
})

test('a preset of a new version hides a scenario that had its name before', async () => {
  await using opened = await openRegistry()
  await opened.stored.add(scenarioOf({ name: 'abr-ladder' }))
  assert.equal((await opened.registry.require('abr-ladder')).origin, 'preset')
  const found = (await opened.registry.list()).filter(({ scenario }) => scenario.name === 'abr-ladder')
  assert.equal(found.length, 1)
})

test('what cannot be is not stored', async () => {
  await using opened = await openRegistry()
  await rejects(opened.registry.add(scenarioOf({ name: 'mine', gopSeconds: 9 })), 'SCENARIO_INVALID', /gopSeconds/)
  assert.equal(await opened.registry.find('mine'), undefined)
})
