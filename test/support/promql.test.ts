import assert from 'node:assert/strict'
import { test } from 'node:test'
import { promqlNames } from './promql.ts'

test('an expression names its metrics, their labels, and those that it groups by', () => {
  for (const [expression, selected, grouped] of [
    ['up == 0', [['up', []]], []],
    ['sum by (le, route) (rate(a_bucket{x="{y}", z!~"1"}[5m]))', [['a_bucket', ['x', 'z']]], ['le', 'route']],
    [
      'sum(1 - a) / on (b) group_left c{d="e"} > 10e9 or absent(f)',
      [
        ['a', []],
        ['c', ['d']],
        ['f', []],
      ],
      ['b'],
    ],
    ['rate(a{b=~"$c"}[$__rate_interval])', [['a', ['b']]], []],
  ] as const) {
    const names = promqlNames(expression)
    assert.deepEqual(
      names.selected.map(({ metric, labels }) => [metric, labels]),
      selected,
      expression,
    )
    assert.deepEqual(names.grouped, grouped, expression)
  }
})

test('an expression that is not whole is refused', () => {
  for (const expression of ['sum(a', 'a[5m', 'a)', 'sum(a]']) assert.throws(() => promqlNames(expression))
})
