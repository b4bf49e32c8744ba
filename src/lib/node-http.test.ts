import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

test('nobody imports more than types of node:http', () => {
  const root = join(import.meta.dirname, '..')
  const files = globSync('**/*.ts', { cwd: root, exclude: ['**/*.{test,fixture}.ts'] })
  const wrong = files.filter((file) =>
    /^import (?!type ).*'node:http'|import\('node:http'\)/m.test(readFileSync(join(root, file), 'utf8')),
  )
  assert.deepEqual(wrong, [])
})
