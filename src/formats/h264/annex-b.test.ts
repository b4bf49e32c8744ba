import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { hasStartCode, splitAnnexB, withoutEmulationPrevention } from './annex-b.ts'

const streams: [name: string, hex: string, nals: string[]][] = [
  ['nothing', '', []],
  ['long and short start codes', '00000001 6764 000001 68eb 00000001 6588', ['6764', '68eb', '6588']],
  ['trailing zeros', '000001 6764 0000 000001 68eb 000000', ['6764', '68eb']],
  ['a bare unit', '6588aa', ['6588aa']],
  ['a bare unit with another behind it', '6764 00000001 6588', ['6764', '6588']],
  ['start codes alone', '000001 00000001 000001', []],
]

for (const [name, hex, nals] of streams) {
  test(`byte stream: ${name}`, () => {
    const bytes = fromHex(hex)
    const found = splitAnnexB(bytes).map((nal) => nal.toString('hex'))
    assert.deepEqual(found, nals)
    assert.equal(hasStartCode(bytes), hex.includes('000001'))
  })
}

const payloads: [escaped: string, plain: string][] = [
  ['6764000aac', '6764000aac'],
  ['67000003 01', '67000001'],
  ['67000003 000003 00', '670000000000'],
  ['67000003', '670000'],
]

for (const [escaped, plain] of payloads) {
  test(`emulation prevention is removed from ${escaped}`, () => {
    assert.equal(withoutEmulationPrevention(fromHex(escaped)).toString('hex'), plain)
  })
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

const inputs = [...streams.map(([, hex]) => fromHex(hex)), ...payloads.map(([hex]) => fromHex(hex))]
fuzzBytes('splitAnnexB', inputs, splitAnnexB)
fuzzBytes('withoutEmulationPrevention', inputs, withoutEmulationPrevention)
