import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AppError, errorDocument, errorTable, toAppError } from './errors.ts'

const root = join(import.meta.dirname, '../..')

test('docs/errors.md lists every code as the table has it', () => {
  assert.equal(readFileSync(join(root, 'docs/errors.md'), 'utf8'), errorDocument(), 'run: npm run generate')
})

test('every code is thrown somewhere', () => {
  const sources = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('lib/errors.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n')
  const unused = Object.keys(errorTable).filter((code) => code !== 'INTERNAL' && !sources.includes(`'${code}'`))
  assert.deepEqual(unused, [])
})

test('an unknown fault becomes INTERNAL and keeps its cause', () => {
  const fault = new TypeError('x is not a function')
  const error = toAppError(fault)
  assert.deepEqual([error.code, error.httpStatus, error.cause], ['INTERNAL', 500, fault])
  const known = new AppError('STREAM_BUSY', 'taken')
  assert.equal(toAppError(known), known)
})
