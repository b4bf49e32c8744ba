import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chooseChain, type Chain, type ChainRun } from './history-chain.ts'

/** `epoch:base-last@object`. */
function run(text: string): ChainRun {
  const [, epoch = '', base = '', last = '', objectId = ''] = /^(\d+):(\d+)-(\d+)(?:@(\w+))?$/.exec(text) ?? []
  return { epoch: Number(epoch), baseOffset: Number(base), lastOffset: Number(last), objectId }
}

function textOf({ epoch, baseOffset, lastOffset, objectId }: ChainRun): string {
  return `${epoch}:${baseOffset}-${lastOffset}${objectId === '' ? '' : `@${objectId}`}`
}

type Expected = { kept: string[]; superseded?: string[]; overlapping?: string[]; gaps?: string[] }
const cases: [string, string[], Expected][] = [
  ['nothing', [], { kept: [] }],
  ['runs in any order', ['1:5-9', '2:10-19', '1:0-4'], { kept: ['1:0-4', '1:5-9', '2:10-19'] }],
  ['a history whose start was deleted', ['1:50-59', '1:60-69'], { kept: ['1:50-59', '1:60-69'] }],
  ['a gap', ['1:0-4', '1:10-14'], { kept: ['1:0-4', '1:10-14'], gaps: ['5-10'] }],
  [
    'a run that was uploaded twice: the second one',
    ['1:0-9@b', '1:0-9@a', '1:10-19@c'],
    { kept: ['1:0-9@b', '1:10-19@c'], overlapping: ['1:0-9@a'] },
  ],
  [
    'the same batches cut otherwise after a crash',
    ['1:0-9@a', '1:10-29@b', '2:10-14@c', '2:15-40@d'],
    { kept: ['1:0-9@a', '2:10-14@c', '2:15-40@d'], superseded: ['1:10-29@b'] },
  ],
  [
    'an owner that had been replaced and went on',
    ['1:0-9', '1:10-19', '1:20-99', '2:10-12'],
    { kept: ['1:0-9', '2:10-12'], superseded: ['1:10-19', '1:20-99'] },
  ],
  [
    'the chain that closes a gap',
    ['1:0-9', '1:12-19@a', '1:10-14@b', '1:15-19@c', '1:20-29'],
    { kept: ['1:0-9', '1:10-14@b', '1:15-19@c', '1:20-29'], overlapping: ['1:12-19@a'] },
  ],
  ['an end that nobody had committed yet', ['1:0-9', '1:10-19'], { kept: ['1:0-9', '1:10-19'] }],
]
for (const [name, given, expected] of cases) {
  test(`the history of ${name}`, () => {
    const { kept, superseded, overlapping, gaps } = chooseChain(given.map(run))
    const found = {
      kept: kept.map(textOf),
      superseded: superseded.map(textOf),
      overlapping: overlapping.map(textOf),
      gaps: gaps.map(({ fromOffset, toOffset }) => `${fromOffset}-${toOffset}`),
    }
    assert.deepEqual(found, { superseded: [], overlapping: [], gaps: [], ...expected })
  })
}

/** A history of several owners, each of which leaves orphans that reach over its end, and uploads some runs twice. */
const anyHistory = fc
  .array(
    fc.record({
      lengths: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }),
      orphans: fc.array(fc.nat({ max: 30 }), { maxLength: 3 }),
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((owners) => {
    const committed: ChainRun[] = []
    const orphans: ChainRun[] = []
    let next = 0
    for (const [index, { lengths, orphans: tails }] of owners.entries()) {
      const epoch = index + 1
      for (const length of lengths) {
        committed.push({ epoch, baseOffset: next, lastOffset: next + length - 1, objectId: `z${committed.length}` })
        next += length
      }
      // The last owner's would continue the history, and could be part of it.
      if (epoch < owners.length)
        for (const tail of tails) orphans.push({ epoch, baseOffset: next, lastOffset: next + tail, objectId: `a${tail}` })
    }
    return { committed, orphans }
  })

test('the history of owners that were fenced is found again, whatever they had uploaded', () => {
  const property = fc.property(anyHistory, fc.infiniteStream(fc.double({ noNaN: true })), ({ committed, orphans }, order) => {
    const shuffled = [...committed, ...orphans].map((one) => ({ one, rank: order.next().value ?? 0 }))
    const chain: Chain<ChainRun> = chooseChain(shuffled.toSorted((a, b) => a.rank - b.rank).map(({ one }) => one))
    assert.deepEqual(chain.kept, committed)
    assert.equal(chain.superseded.length, orphans.length)
    assert.deepEqual(chain.gaps, [])
  })
  fc.assert(property, { numRuns: 300 })
})

test('whatever the runs are, those kept never overlap and none is lost from the answer', () => {
  const anyRun = fc
    .record({
      epoch: fc.nat({ max: 3 }),
      baseOffset: fc.nat({ max: 100 }),
      length: fc.integer({ min: 1, max: 30 }),
      objectId: fc.string(),
    })
    .map(({ length, ...rest }) => ({ ...rest, lastOffset: rest.baseOffset + length - 1 }))
  const property = fc.property(fc.array(anyRun, { maxLength: 30 }), (runs) => {
    const { kept, superseded, overlapping } = chooseChain(runs)
    for (const [index, { baseOffset }] of kept.entries()) assert(baseOffset > (kept[index - 1]?.lastOffset ?? -1))
    assert.equal(kept.length + superseded.length + overlapping.length, runs.length)
    assert.equal(kept.length === 0, runs.length === 0)
  })
  fc.assert(property, { numRuns: 300 })
})
