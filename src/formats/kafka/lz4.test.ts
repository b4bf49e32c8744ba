import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { lz4Compress } from '@platformatic/wasm-utils'
import { ensureProgram } from '../../../test/support/ensure-program.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { decompressLz4 } from './lz4.ts'

const limit = 1 << 20
const frame = '04224d18 60 40 82'
const end = '00000000'
const plainText = 'hello hello hello hello, a frame'
const block = '13000000 6d68656c6c6f200600902c2061206672616d65'

const cases: [name: string, hex: string, plain: string][] = [
  ['a frame without anything optional', `${frame} ${block} ${end}`, plainText],
  ['a checksum of the content', `04224d18 64 40 a7 ${block} ${end} 50b41db9`, plainText],
  ['checksums of blocks', `04224d18 74 40 bd ${block} 2858322a ${end} 50b41db9`, plainText],
  ['the size of the content', `04224d18 6c 40 2000000000000000 c6 ${block} ${end} 50b41db9`, plainText],
  ['everything optional, 4 MiB blocks', `04224d18 7c 70 2000000000000000 19 ${block} 2858322a ${end} 50b41db9`, plainText],
  ['a stored block', `${frame} 03000080 616263 ${end}`, 'abc'],
  ['two blocks', `${frame} 03000080 616263 04000000 30646566 ${end}`, 'abcdef'],
  ['a block that repeats the one before', `04224d18 40 40 00 03000080 616263 05000000 02 0300 10 64 ${end}`, 'abcabcabcd'],
  ['long lengths', `${frame} 0c000000 1f 61 0100 ff 00 50 6263646566 ${end}`, `${'a'.repeat(275)}bcdef`],
  ['no block', `${frame} ${end}`, ''],
  ['two frames', `${frame} 03000080 616263 ${end} ${frame} 03000080 646566 ${end}`, 'abcdef'],
]

const broken: [name: string, hex: string, code: string][] = [
  ['nothing', '', 'TRUNCATED'],
  ['no frame', '00000000 60 40 82 00000000', 'MALFORMED'],
  ['something behind the frame', `${frame} ${end} 01020304`, 'MALFORMED'],
  ['a frame without end', `${frame} ${block}`, 'TRUNCATED'],
  ['another version', `04224d18 a0 40 00 ${end}`, 'MALFORMED'],
  ['a block size that does not exist', `04224d18 60 30 00 ${end}`, 'MALFORMED'],
  ['a dictionary', `04224d18 61 40 01000000 00 ${end}`, 'UNSUPPORTED'],
  ['a block that is cut', `${frame} 05000080 616263`, 'TRUNCATED'],
  ['a block longer than the frame allows', `${frame} 01000180 ${'00'.repeat(65_537)} ${end}`, 'MALFORMED'],
  ['literals that are cut', `${frame} 03000000 306162 ${end}`, 'MALFORMED'],
  ['a length that is cut', `${frame} 03000000 f0ffff ${end}`, 'MALFORMED'],
  ['an offset that is cut', `${frame} 03000000 106101 ${end}`, 'MALFORMED'],
  ['a repetition at the end', `${frame} 04000000 10610100 ${end}`, 'MALFORMED'],
  ['a repetition from before the beginning', `${frame} 06000000 10610200 1062 ${end}`, 'MALFORMED'],
  ['a repetition at distance 0', `${frame} 06000000 10610000 1062 ${end}`, 'MALFORMED'],
  [
    'a block that unpacks to more than the frame allows',
    `${frame} 08010000 1f610100 ${'ff'.repeat(257)} 00 1062 ${end}`,
    'MALFORMED',
  ],
]

for (const [name, hex, plain] of cases) {
  test(`LZ4: ${name}`, () => {
    assert.equal(decompressLz4(fromHex(hex), limit).toString(), plain)
    assert.equal(decompressLz4(fromHex(hex), plain.length).toString(), plain)
    if (plain !== '') assert.throws(() => decompressLz4(fromHex(hex), plain.length - 1), { code: 'LIMIT_EXCEEDED' })
  })
}

for (const [name, hex, code] of broken) {
  test(`LZ4 is refused: ${name}`, () => {
    assert.throws(() => decompressLz4(fromHex(hex), limit), { code })
  })
}

const text = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `line ${(i * 7919) % 1000} of a text; `).join(''))

test('what the library packs for producers comes back', () => {
  for (const plain of [text, Buffer.alloc(300_000), Buffer.from('x')])
    assert.deepEqual(decompressLz4(lz4Compress(plain), limit), plain)
})

/** Options of the reference program: linked and independent blocks, checksums, sizes, strength. */
for (const options of [
  ['-B4', '-BD'],
  ['-B4', '-BD', '-BX', '-9'],
  ['-B4', '-BX', '--content-size'],
  ['-B5', '--no-frame-crc'],
  ['-B7', '-12'],
  ['--fast=5'],
]) {
  test(`what lz4 ${options.join(' ')} packs comes back`, async () => {
    const lz4 = await ensureProgram({ command: 'lz4', debianPackage: 'lz4' })
    const packed = execFileSync(lz4, ['-c', ...options], { input: text, stdio: 'pipe' })
    assert.deepEqual(decompressLz4(packed, limit), text)
    assert.throws(() => decompressLz4(packed, text.length - 1), { code: 'LIMIT_EXCEEDED' })
  })
}

fuzzBytes(
  'LZ4',
  [...cases, ...broken.filter(([, hex]) => hex.length < 1000)].map(([, hex]) => fromHex(hex)),
  (input) => decompressLz4(input, limit),
)

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
