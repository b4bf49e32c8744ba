import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { hasAdtsSync, parseAdtsHeader, type AdtsHeader } from './adts.ts'

const cases: [hex: string, header: AdtsHeader][] = [
  ['fff150801c3ffcde', { headerBytes: 7, frameBytes: 225, objectType: 2, sampleRateHz: 44_100, channelConfiguration: 2 }],
  ['fff06c40027ffc0000', { headerBytes: 9, frameBytes: 19, objectType: 2, sampleRateHz: 8_000, channelConfiguration: 1 }],
]

for (const [hex, header] of cases) {
  test(`ADTS header ${hex}`, () => {
    assert.deepEqual(parseAdtsHeader(Buffer.from(hex, 'hex')), header)
    assert.deepEqual(parseAdtsHeader(Buffer.from(`00${hex}`, 'hex'), 1), header)
    assert.equal(hasAdtsSync(Buffer.from(hex, 'hex'), 0), true)
  })
}

const refused: [name: string, hex: string, code: string][] = [
  ['no sync word', '21104600', 'MALFORMED'],
  ['cut', 'fff15080', 'TRUNCATED'],
  ['reserved rate', 'fff174801c3ffc', 'MALFORMED'],
  ['shorter than its header', 'fff15080009ffc', 'MALFORMED'],
  ['several blocks', 'fff150801c3ffd', 'UNSUPPORTED'],
]

for (const [name, hex, code] of refused) {
  test(`ADTS header is refused: ${name}`, () => {
    assert.throws(
      () => parseAdtsHeader(Buffer.from(hex, 'hex')),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

fuzzBytes(
  'parseAdtsHeader',
  cases.map(([hex]) => Buffer.from(hex, 'hex')),
  (bytes) => parseAdtsHeader(bytes),
)
