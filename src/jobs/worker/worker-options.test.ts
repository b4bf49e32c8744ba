import assert from 'node:assert/strict'
import { availableParallelism, totalmem } from 'node:os'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { workerSettingsSchema } from '../settings.ts'
import { workerOptionsOf } from './worker-options.ts'

const node = { id: 'generated', name: 'host', version: '1', dataDirectory: '/data' }
const defaults = Value.Parse(workerSettingsSchema, Value.Default(workerSettingsSchema, {}))

test('what is not set follows from the machine', () => {
  const { slots, limits, scratchDirectory, id } = workerOptionsOf(defaults, node)
  assert.deepEqual([slots, scratchDirectory, id], [availableParallelism(), '/data/scratch', 'generated'])
  assert.ok(limits.maxMemoryBytes > 0 && limits.maxMemoryBytes <= totalmem() * 0.75)
})

test('what is set holds', () => {
  const settings = { ...defaults, id: 'mine', slots: 3, taskMemoryMegabytes: 500, minFreeMegabytes: 1, drainSeconds: 2 }
  const options = workerOptionsOf(settings, node)
  assert.deepEqual([options.id, options.slots, options.drainMs], ['mine', 3, 2000])
  assert.deepEqual([options.limits.maxMemoryBytes, options.minFreeBytes], [500e6, 1e6])
})
