import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstBytes, hexDump, parseRecordBytes, preview, type RecordBytes, sizeOf } from './record-bytes.ts'

const cases: [string, unknown, RecordBytes, number, string][] = [
  ['none', null, { kind: 'none' }, 0, ''],
  ['text', 'hé\n  you', { kind: 'text', text: 'hé\n  you' }, 9, 'hé you'],
  ['empty text', '', { kind: 'text', text: '' }, 0, ''],
  ['three bytes', { base64: 'AP8B' }, { kind: 'binary', base64: 'AP8B' }, 3, '00 ff 01'],
  ['two bytes', { base64: 'AP8=' }, { kind: 'binary', base64: 'AP8=' }, 2, '00 ff'],
  ['one byte', { base64: '/w==' }, { kind: 'binary', base64: '/w==' }, 1, 'ff'],
]
for (const [name, value, expected, sizeBytes, line] of cases) {
  test(`what the API tells of a value: ${name}`, () => {
    const bytes = parseRecordBytes(value)
    assert.deepEqual(bytes, expected)
    assert.equal(sizeOf(bytes), sizeBytes)
    assert.equal(preview(bytes), line)
  })
}

test('the preview of a long text is short', () => {
  assert.equal(preview({ kind: 'text', text: 'x'.repeat(1_000_000) }).length, 300)
})

test('only the first bytes are decoded', () => {
  const base64 = Buffer.from('0123456789').toString('base64')
  assert.deepEqual([...firstBytes(base64, 4)], [...Buffer.from('0123')])
  assert.deepEqual([...firstBytes(base64, 100)], [...Buffer.from('0123456789')])
})

test('a hex dump has place, bytes and letters', () => {
  const lines = [
    '000000  4d 69 6c 6c 72 61 63 65 20 00 ff 7f 41 42 43 44  Millrace ...ABCD',
    '000010  0a                                               .',
  ]
  assert.equal(
    hexDump(Buffer.concat([Buffer.from('Millrace \0'), Buffer.from([0xff, 0x7f]), Buffer.from('ABCD\n')])),
    lines.join('\n'),
  )
})
