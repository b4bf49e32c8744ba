import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parts, partsOf, startOrder } from './roles.ts'

test('each part starts after all that it needs', () => {
  const order = startOrder('all')
  for (const part of order)
    for (const need of parts[part].needs) assert.ok(order.indexOf(need) < order.indexOf(part), `${need} before ${part}`)
})

test('only what nothing needs can be restarted alone', () => {
  const needed = new Set<string>(Object.values(parts).flatMap(({ needs }) => needs))
  for (const [part, { canRestart }] of Object.entries(parts)) if (canRestart) assert.equal(needed.has(part), false, part)
})

test('a section leads to the parts that are built from it', () => {
  assert.deepEqual(partsOf(['rtsp', 'metrics']), ['rtsp', 'metrics'])
  assert.deepEqual(partsOf(['users']), [])
})
