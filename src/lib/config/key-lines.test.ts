import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse, stringify } from 'smol-toml'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { formatKeyPath, type KeyPath } from './key-path.ts'
import { scanKeyLines } from './key-lines.ts'
import { isTable } from './tree.ts'

const cases: readonly [name: string, text: string, lines: Record<string, number>][] = [
  ['a key', 'a = 1', { a: 1 }],
  ['comments and blank lines', '# a = 1\n\n  # b\nc = 1 # d = 2\ne = 2', { c: 4, e: 5 }],
  ['tables', '[a]\nb = 1\n[a.c]\nd = 2', { a: 1, 'a.b': 2, 'a.c': 3, 'a.c.d': 4 }],
  ['a table named after its child', '[a.b]\nc = 1\n[a]\nd = 2', { a: 3, 'a.b': 1, 'a.b.c': 2, 'a.d': 4 }],
  ['dotted keys', 'a.b.c = 1\na . "d" = 2', { a: 1, 'a.b': 1, 'a.b.c': 1, 'a.d': 2 }],
  ['quoted keys', '"a b" = 1\n\'c"d\' = 2\n"e\\u0041\\n" = 3', { '"a b"': 1, '"c\\"d"': 2, '"eA\\n"': 3 }],
  ['quoted tables', '[streams."site-2/gate"]\nx = 1', { streams: 1, 'streams."site-2/gate"': 1, 'streams."site-2/gate".x': 2 }],
  [
    'lists of tables',
    '[[u]]\na = 1\n[[u]]\na = 2\n[u.b]\nc = 3\n[[u.d]]\n[[u.d]]\ne = 4',
    {
      u: 1,
      'u[0]': 1,
      'u[0].a': 2,
      'u[1]': 3,
      'u[1].a': 4,
      'u[1].b': 5,
      'u[1].b.c': 6,
      'u[1].d': 7,
      'u[1].d[0]': 7,
      'u[1].d[1]': 8,
      'u[1].d[1].e': 9,
    },
  ],
  [
    'lists over lines',
    'a = [\n  1, # ]\n  [2,\n 3],\n]\nb = 1',
    { a: 1, 'a[0]': 2, 'a[1]': 3, 'a[1][0]': 3, 'a[1][1]': 4, b: 6 },
  ],
  [
    'inline tables',
    'a = { b = 1, c.d = [ { e = 2 } ] }\nf = 1',
    { a: 1, 'a.b': 1, 'a.c': 1, 'a.c.d': 1, 'a.c.d[0]': 1, 'a.c.d[0].e': 1, f: 2 },
  ],
  ['texts with brackets', 'a = "]#\\"[" # x\nb = \'\\\'\nc = 1', { a: 1, b: 2, c: 3 }],
  ['long texts', 'a = """\nb = 1\n\\"""\n"""\nc = \'\'\'\n[d]\n\'\'\'\'\'\ne = 2', { a: 1, c: 5, e: 8 }],
  ['an escaped line end', 'a = """x\\\n  y"""\nb = 1', { a: 1, b: 3 }],
  ['Windows line ends', '[a]\r\nb = 1\r\nc = 2\r\n', { a: 1, 'a.b': 2, 'a.c': 3 }],
  ['a byte order mark', '\uFEFFa = 1', { a: 1 }],
  ['dates and numbers', 'a = 1979-05-27 07:32:00Z\nb = [1e5, -inf]\nc = 0x_ff', { a: 1, b: 2, 'b[0]': 2, 'b[1]': 2, c: 3 }],
]

for (const [name, text, lines] of cases) {
  test(`lines of ${name}`, () => {
    assert.deepEqual(Object.fromEntries(scanKeyLines(text)), lines)
  })
}

const texts = cases.map(([, text]) => text)
fuzzText('key lines', texts, scanKeyLines)

fuzzText('key lines know each key of a document that parses', texts, (text) => {
  const tree = parseOrNothing(text)
  if (tree === undefined) return
  const lines = scanKeyLines(text)
  for (const path of allPaths(tree))
    assert.ok(lines.has(formatKeyPath(path)), `${formatKeyPath(path)} of ${JSON.stringify(text)}`)
})

test('a made document has each key on the line where it was written', () => {
  const key = fc.oneof(fc.stringMatching(/^[a-z]{1,4}$/), fc.string({ minLength: 1, maxLength: 4, unit: 'binary' }))
  const leaf = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.boolean(), fc.string({ maxLength: 12 }))
  const table = fc.dictionary(key, fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(key, leaf, { maxKeys: 3 })), {
    maxKeys: 4,
  })
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.oneof(leaf, table, fc.array(table, { minLength: 1, maxLength: 3 })), { maxKeys: 4 }),
      (tree) => {
        const text = stringify(tree)
        const parsed = parseOrNothing(text)
        if (parsed === undefined) return
        const lines = scanKeyLines(text)
        const written = text.split('\n')
        for (const path of allPaths(parsed)) {
          const last = path.findLast((part) => typeof part === 'string') ?? ''
          const line = written[(lines.get(formatKeyPath(path)) ?? 0) - 1] ?? ''
          assert.ok(line.includes(last) || line.includes('"'), `${formatKeyPath(path)} on ${line}`)
        }
      },
    ),
  )
})

test('nesting deeper than the parser goes ends the scan and nothing else', () => {
  scanKeyLines(`a = ${'['.repeat(200_000)}`)
  scanKeyLines(`a = ${'{b='.repeat(100_000)}`)
})

function parseOrNothing(text: string): unknown {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw' })
  } catch {
    return undefined
  }
}

function allPaths(value: unknown, path: KeyPath = []): KeyPath[] {
  const entries: (readonly [string | number, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : isTable(value)
      ? Object.entries(value)
      : []
  return entries.flatMap(([key, item]) => [[...path, key], ...allPaths(item, [...path, key])])
}
