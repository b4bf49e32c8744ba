import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { systemClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { objectsSettingsSchema, type ObjectsSettings } from '../settings.ts'
import { openObjectStore } from './open-object-store.ts'

const log = pino({ level: 'silent' })
const defaults = Value.Parse(objectsSettingsSchema, Value.Default(objectsSettingsSchema, {}))

test('without settings objects are in the data directory', async () => {
  await using directory = await temporaryDirectory()
  await using _store = await openObjectStore(defaults, { dataDirectory: directory.path, clock: systemClock, log })
  assert.deepEqual(await readdir(directory.path), ['objects'])
})

const contradictions: [string, Partial<ObjectsSettings>][] = [
  ['directory and bucket', { directory: '/x', bucket: 'b' }],
  ['endpoint without bucket', { endpoint: 'http://127.0.0.1:1' }],
  ['key without secret', { bucket: 'b', accessKeyId: 'k' }],
  ['secret without key', { bucket: 'b', secretAccessKey: 's' }],
]
for (const [name, settings] of contradictions) {
  test(`${name} is refused`, async () => {
    const opened = openObjectStore({ ...defaults, ...settings }, { dataDirectory: '/nowhere', clock: systemClock, log })
    await assert.rejects(opened, { code: 'CONFIG_INVALID' })
  })
}

test('a wrong key or a missing bucket is said at the first use', async () => {
  const settings = { ...defaults, bucket: 'b', endpoint: 'http://127.0.0.1:1', accessKeyId: 'k', secretAccessKey: 's' }
  await using store = await openObjectStore(settings, { dataDirectory: '/nowhere', clock: systemClock, log })
  await assert.rejects(store.head('a'), {
    code: 'OBJECTS_UNAVAILABLE',
    message: /bucket b at http:\/\/127\.0\.0\.1:1 does not answer/,
  })
})
