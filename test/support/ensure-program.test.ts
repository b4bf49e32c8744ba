import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ensureFile, ensureProgram } from './ensure-program.ts'

test('what is there is found where it is', async () => {
  assert.match(await ensureProgram({ command: 'sh', debianPackage: 'dash' }), /\/sh$/)
  assert.equal(await ensureFile({ path: import.meta.filename, debianPackage: 'none' }), import.meta.filename)
})
