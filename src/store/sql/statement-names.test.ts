import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementNames } from './statement-names.ts'

test('a text has a name from its second time on', () => {
  const names = new StatementNames()
  assert.equal(names.nameOf('a'), undefined)
  const name = names.nameOf('a')
  assert.notEqual(name, undefined)
  assert.equal(names.nameOf('a'), name)
  assert.equal(names.nameOf('b'), undefined)
  assert.notEqual(names.nameOf('b'), name)
})

test('one that was refused has none any more', () => {
  const names = new StatementNames()
  names.nameOf('a')
  names.nameOf('a')
  names.refuse('a')
  assert.equal(names.nameOf('a'), undefined)
  assert.equal(names.nameOf('a'), undefined)
})

test('there are only so many', () => {
  const names = new StatementNames()
  const texts = Array.from({ length: 5000 }, (_, n) => `select ${n}`)
  const named = texts.filter((text) => (names.nameOf(text), names.nameOf(text) !== undefined))
  assert(named.length > 0 && named.length < 1000)
})
