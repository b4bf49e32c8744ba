import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { murmur2 as murmur2OfPlatformatic } from '@platformatic/kafka'
import fc from 'fast-check'
import { murmur2, partitionFor } from './partitioner.ts'

const require = createRequire(import.meta.url)
const murmur2OfKafkajs: (key: Buffer) => number = require('kafkajs/src/producer/partitioners/default/murmur2.js')

/** What `Utils.murmur2` of the Java client gives, as its own tests, those of librdkafka and those of kafkajs have it. */
const cases: [key: string, hash: number][] = [
  ['', 275_646_681],
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
  ['0', 971_027_396],
  ['1', -1_993_445_489],
  ['128', -326_012_175],
  ['2187', -1_508_407_203],
  ['16384', -325_739_742],
  ['78125', -1_654_490_814],
  ['279936', 1_462_227_128],
  ['kafka', 0xd067_cf64 | 0],
  ['giberish123456789', 0x8f55_2b0c | 0],
  ['1234', 0x9fc9_7b14 | 0],
  ['234', 0xe7c0_09ca | 0],
  ['34', 0x8739_30da | 0],
  ['4', 0x5a4b_5ca1],
]

for (const [key, hash] of cases) {
  test(`murmur2 of "${key}"`, () => {
    assert.equal(murmur2(Buffer.from(key)), hash)
  })
}

test('murmur2 of any bytes is that of other clients', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 64 }), (array) => {
    const key = Buffer.from(array)
    assert.equal(murmur2(key), murmur2OfKafkajs(key))
    assert.equal(murmur2(key), murmur2OfPlatformatic(key))
  })
  fc.assert(property, { numRuns: 2000 })
})

for (const [key, partitionCount, partition] of [
  ['foobar', 10, 6],
  ['foobar', 50, 16],
  ['21', 1, 0],
  ['abc', 12, 3],
] as const) {
  test(`key "${key}" of ${partitionCount} partitions goes to ${partition}`, () => {
    assert.equal(partitionFor(Buffer.from(key), partitionCount), partition)
  })
}
