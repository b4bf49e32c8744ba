import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { systemClock } from '#lib/clock.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { startS3 } from '../../../test/support/s3.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { ExtentRow } from '../metadata/log-metadata.ts'
import { ExtentReader } from './extent-reader.ts'
import { makeBatch, makeBatches, makeRun, storeObject } from './objects.fixture.ts'

const mebibyte = 2 ** 20
const settings = { cacheBytes: 64 * mebibyte, concurrency: 4 }

/** Batches of all sizes, of two partitions in one object: a first one of 700 KB, then the second of about 6 MB, across many blocks. */
const other = makeBatches(7, () => ({ valueBytes: 100_000 }))
const batches = makeBatches(
  300,
  (index) => ({
    records: 1 + (index % 3),
    valueBytes: index % 50 === 0 ? 400_000 : (index * 37) % 20_000,
    timestampMs: 1_000 * index,
  }),
  1_000,
)
const headers = batches.map((batch) => readBatchHeader(batch))

async function storeBoth(objects: ObjectStore): Promise<ExtentRow> {
  const [, extent] = await storeObject(objects, 'object', [makeRun(other), makeRun(batches, { partitionId: 2 })])
  assert(extent)
  return extent
}

/** The batches that a read from this offset must give. */
function expectedAt(fromOffset: number, maxBytes: number): Buffer[] {
  const found: Buffer[] = []
  let sizeBytes = 0
  for (const [index, batch] of batches.entries()) {
    const header = headers[index]
    if (!header || header.baseOffset + header.lastOffsetDelta < fromOffset) continue
    sizeBytes += batch.length
    if (found.length > 0 && sizeBytes > maxBytes) break
    found.push(batch)
  }
  return found
}

function describeReads(name: string, open: () => Promise<AsyncDisposable & { objects: ObjectStore }>): void {
  describe(`reads from ${name}`, () => {
    let store: Awaited<ReturnType<typeof open>>
    let objects: ObjectStore
    let extent: ExtentRow
    before(async () => {
      store = await open()
      objects = store.objects
      extent = await storeBoth(objects)
    })
    after(() => store[Symbol.asyncDispose]())

    test('every offset gives the batch that holds it', async () => {
      const reader = new ExtentReader({ objects, ...settings })
      for (let offset = extent.baseOffset; offset <= extent.lastOffset; offset++) {
        assert.deepEqual(await reader.read(extent, { fromOffset: offset, maxBytes: 1 }), expectedAt(offset, 1))
      }
    })

    test('any part gives the batches that fit, byte for byte', async () => {
      const request = fc.record({
        fromOffset: fc.integer({ min: extent.baseOffset - 5, max: extent.lastOffset }),
        maxBytes: fc.integer({ min: 0, max: 3 * mebibyte }),
      })
      const reader = new ExtentReader({ objects, cacheBytes: 2 * mebibyte, concurrency: 2 })
      const property = fc.asyncProperty(request, async ({ fromOffset, maxBytes }) => {
        const read = await reader.read(extent, { fromOffset, maxBytes })
        assert.deepEqual(Buffer.concat(read), Buffer.concat(expectedAt(fromOffset, maxBytes)))
      })
      await fc.assert(property, { numRuns: 40 })
    })

    test('a reader that goes on from batch to batch gets all of it, and the store is asked for each block once', async () => {
      const reader = new ExtentReader({ objects, ...settings })
      const all: Buffer[] = []
      for (let offset = extent.baseOffset; offset <= extent.lastOffset;) {
        const read = await reader.read(extent, { fromOffset: offset, maxBytes: 300_000 })
        all.push(...read)
        const last = readBatchHeader(read.at(-1) ?? Buffer.alloc(0))
        offset = last.baseOffset + last.lastOffsetDelta + 1
      }
      assert.deepEqual(Buffer.concat(all), Buffer.concat(batches))
      assert.equal(reader.stats.misses, Math.ceil((extent.positionBytes + extent.lengthBytes) / mebibyte))
    })
  })
}

describeReads('a directory', async () => {
  const directory = await temporaryDirectory()
  const objects = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  return { objects, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
})

describeReads('S3', async () => {
  const server = await startS3({ hasConditionalPuts: true })
  const deps = { dataDirectory: '', clock: systemClock, log: pino({ level: 'silent' }) }
  const objects = await openObjectStore(await server.createBucket(), deps)
  return {
    objects,
    async [Symbol.asyncDispose]() {
      await objects[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
})

describe('the extent reader', () => {
  const open = async () => {
    const directory = await temporaryDirectory()
    const objects = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
    const extent = await storeBoth(objects)
    return {
      objects,
      extent,
      path: join(directory.path, extent.objectKey),
      [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
    }
  }

  test('reads of one block at once are one read of the store', async () => {
    await using at = await open()
    const reader = new ExtentReader({ objects: at.objects, ...settings, readAheadBytes: 0 })
    const read = () => reader.read(at.extent, { fromOffset: 1_100, maxBytes: 1 })
    const answers = await Promise.all(Array.from({ length: 20 }, read))
    assert(answers.every(([batch]) => batch?.equals(expectedAt(1_100, 1)[0] ?? Buffer.alloc(0))))
    assert(reader.stats.misses <= 2, `${reader.stats.misses} loads`)
  })

  test('whoever begins an extent, or reads on, has the next blocks loaded ahead; others have not', async () => {
    await using at = await open()
    const blocksAfter = async (...offsets: number[]): Promise<number> => {
      const reader = new ExtentReader({
        objects: at.objects,
        cacheBytes: 64 * mebibyte,
        concurrency: 8,
        readAheadBytes: 3 * mebibyte,
      })
      for (const fromOffset of offsets) await reader.read(at.extent, { fromOffset, maxBytes: 1 })
      await until(() => reader.stats.activeLoads === 0)
      return reader.stats.misses
    }
    // The first batch lies across a border; the one of offset 1,005 ends with it.
    assert.equal(await blocksAfter(1_005), 1)
    assert.equal(await blocksAfter(1_000), 5)
    assert.equal(await blocksAfter(1_005, 1_006), 4)
    assert.equal(await blocksAfter(1_005, 1_050), 1)
  })

  test('no more than the budget stays in memory, and reads above it work', async () => {
    await using at = await open()
    const reader = new ExtentReader({ objects: at.objects, cacheBytes: 1.5 * mebibyte, concurrency: 4 })
    const read = await reader.read(at.extent, { fromOffset: 0, maxBytes: 5 * mebibyte })
    assert.deepEqual(Buffer.concat(read), Buffer.concat(expectedAt(0, 5 * mebibyte)))
    assert(reader.stats.cachedBytes <= 1.5 * mebibyte)
    const uncached = new ExtentReader({ objects: at.objects, cacheBytes: 0, concurrency: 1 })
    assert.deepEqual(await uncached.read(at.extent, { fromOffset: 1_300, maxBytes: 1 }), expectedAt(1_300, 1))
    assert.equal(uncached.stats.cachedBytes, 0)
  })

  test('one read gives at most 8 MiB, or one batch', async () => {
    await using at = await open()
    const many = makeBatches(10, () => ({ valueBytes: mebibyte }))
    const [extent] = await storeObject(at.objects, 'many', [makeRun(many)])
    assert(extent)
    const reader = new ExtentReader({ objects: at.objects, ...settings })
    assert.equal((await reader.read(extent, { fromOffset: 0, maxBytes: 1e9 })).length, 7)
    const [huge] = await storeObject(at.objects, 'huge', [makeRun([makeBatch({ baseOffset: 0, valueBytes: 11 * mebibyte })])])
    assert(huge)
    const [batch] = await reader.read(huge, { fromOffset: 0, maxBytes: 100 })
    assert.equal(batch?.length, huge.lengthBytes)
  })

  test('what is damaged is never handed out, what is before it is', async () => {
    await using at = await open()
    const bytes = await readFile(at.path)
    const ordinal = 200
    const position = at.extent.positionBytes + Buffer.concat(batches.slice(0, ordinal)).length
    const offset = headers[ordinal]?.baseOffset ?? 0
    const reads: [string, number][] = [
      ['a byte of the records', position + 100],
      ['the base offset', position + 7],
      ['the length', position + 11],
      ['the magic', position + 16],
    ]
    for (const [name, damagedAt] of reads) {
      const damaged = Buffer.from(bytes)
      damaged.writeUInt8(damaged.readUInt8(damagedAt) ^ 0x81, damagedAt)
      await writeFile(at.path, damaged)
      const reader = new ExtentReader({ objects: at.objects, ...settings })
      await assert.rejects(reader.read(at.extent, { fromOffset: offset, maxBytes: 1e6 }), { code: 'LOG_DAMAGED' }, name)
      const good = await reader.read(at.extent, { fromOffset: offset - 2, maxBytes: 1e6 })
      assert.deepEqual(good, [batches[ordinal - 1]], name)
    }
  })

  test('an object that is too short is damaged, one that is gone is not found', async () => {
    await using at = await open()
    await truncate(at.path, at.extent.positionBytes + at.extent.lengthBytes - 10)
    const reader = new ExtentReader({ objects: at.objects, ...settings })
    await assert.rejects(reader.read(at.extent, { fromOffset: at.extent.lastOffset, maxBytes: 1 }), {
      code: 'LOG_DAMAGED',
      message: /shorter/,
    })
    await truncate(at.path, 10)
    const another = new ExtentReader({ objects: at.objects, ...settings })
    await assert.rejects(another.read(at.extent, { fromOffset: 1_400, maxBytes: 1 }), { code: 'LOG_DAMAGED', message: /shorter/ })
    await at.objects.delete(at.extent.objectKey)
    const third = new ExtentReader({ objects: at.objects, ...settings })
    await assert.rejects(third.read(at.extent, { fromOffset: 0, maxBytes: 1 }), { code: 'OBJECT_NOT_FOUND' })
  })

  test('a failed load is tried again by the next reader', async () => {
    await using at = await open()
    const bytes = await readFile(at.path)
    await at.objects.delete(at.extent.objectKey)
    const reader = new ExtentReader({ objects: at.objects, ...settings })
    await assert.rejects(reader.read(at.extent, { fromOffset: 1_000, maxBytes: 1 }), { code: 'OBJECT_NOT_FOUND' })
    await at.objects.put(at.extent.objectKey, bytes)
    assert.deepEqual(await reader.read(at.extent, { fromOffset: 1_000, maxBytes: 1 }), [batches[0]])
  })

  test('a fired signal ends a read, also one that waits; others go on', async () => {
    await using at = await open()
    const waiting = new AbortController()
    const gate = Promise.withResolvers<void>()
    const slow: ObjectStore = Object.assign(Object.create(at.objects), {
      get: async (...request: Parameters<ObjectStore['get']>) => {
        await gate.promise
        return await at.objects.get(...request)
      },
    })
    const reader = new ExtentReader({ objects: slow, ...settings })
    const given = reader.read(at.extent, { fromOffset: 1_000, maxBytes: 1, signal: waiting.signal })
    const patient = reader.read(at.extent, { fromOffset: 1_000, maxBytes: 1 })
    waiting.abort(new Error('enough'))
    await assert.rejects(given, /enough/)
    gate.resolve()
    assert.deepEqual(await patient, [batches[0]])
    await assert.rejects(
      reader.read(at.extent, { fromOffset: 1_000, maxBytes: 1, signal: AbortSignal.abort(new Error('before')) }),
      /before/,
    )
  })

  test('reads beyond the concurrency wait for their turn', async () => {
    await using at = await open()
    let [active, most] = [0, 0]
    const counted: ObjectStore = Object.assign(Object.create(at.objects), {
      get: async (...request: Parameters<ObjectStore['get']>) => {
        active += 1
        most = Math.max(most, active)
        const content = await at.objects.get(...request)
        void once(content.stream, 'close').then(() => (active -= 1))
        return content
      },
    })
    const reader = new ExtentReader({ objects: counted, cacheBytes: 0, concurrency: 3 })
    await Promise.all(
      headers.slice(0, 60).map(({ baseOffset }) => reader.read(at.extent, { fromOffset: baseOffset, maxBytes: 1 })),
    )
    assert.equal(most, 3)
    await until(() => reader.stats.activeLoads === 0)
    assert.deepEqual([reader.stats.activeLoads, reader.stats.waitingLoads], [0, 0])
  })

  test('a time finds the first record that is not before it', async () => {
    await using at = await open()
    const reader = new ExtentReader({ objects: at.objects, ...settings })
    const offsetAt = (index: number): number => headers[index]?.baseOffset ?? -1
    const cases: [string, number, { offset: number; timestampMs: number } | undefined][] = [
      ['before all', -5, { offset: 1_000, timestampMs: 0 }],
      ['the time of a batch', 150_000, { offset: offsetAt(150), timestampMs: 150_000 }],
      ['the second record of a batch', 200_001, { offset: offsetAt(200) + 1, timestampMs: 200_001 }],
      ['between two batches', 200_003, { offset: offsetAt(201), timestampMs: 201_000 }],
      ['the last record', 299_002, { offset: at.extent.lastOffset, timestampMs: 299_002 }],
      ['after all', 299_003, undefined],
    ]
    for (const [name, timestampMs, expected] of cases) {
      assert.deepEqual(await reader.findTimestamp(at.extent, { timestampMs, fromOffset: 0 }), expected, name)
    }
  })
})
