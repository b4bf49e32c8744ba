import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { scanFragments } from '#formats/mp4/fragment-index.ts'
import { absolutePath } from '../recorder/segment-path.ts'
import { readRecordedHead } from '../recorder/recorded-file.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import { archiveBench, playedBytes } from './archive.fixture.ts'
import type { SegmentSource } from './segment-source.ts'

type Bench = Awaited<ReturnType<typeof archiveBench>>

async function archiveAll(b: Bench): Promise<void> {
  const { length } = await b.segments()
  await using _ = b.archiver()
  await b.untilArchived(length)
}

async function scan(source: SegmentSource): Promise<number[]> {
  const { init, mediaOffset } = await readRecordedHead(source)
  const offsets = []
  for await (const { offset } of scanFragments(source, init, mediaOffset)) offsets.push(offset)
  return offsets
}

/** Requests that `work` made of the store. */
async function requestsOf(b: Bench, work: () => Promise<unknown>): Promise<string[]> {
  const before = b.requests.length
  await work()
  return b.requests.slice(before).map(({ operation }) => operation)
}

async function first(b: Bench): Promise<RecordingSegment> {
  const [segment] = await b.segments()
  return segment ?? assert.fail('nothing is recorded')
}

test('what was freed plays from the archive, in the same bytes, also next to what is on the disk', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 14, frameBytes: 9000 })
  const segments = await b.segments()
  const before = await playedBytes(b.newPlayback(), segments)
  await archiveAll(b)
  for (const count of [1, segments.length]) {
    await b.free(segments.slice(0, count))
    assert.deepEqual(await playedBytes(b.newPlayback(), segments), before)
  }
  const [stretch, ...others] = await b.newPlayback().timeline({ stream: 'site/gate' })
  assert.equal(others.length, 0)
  assert.equal(stretch?.archivedUntilMs, stretch?.endedAtMs)
})

test('the headers of an archived file come with one request, its media with few', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 60, frameBytes: 2000, segmentSeconds: 100 })
  const segment = await first(b)
  await using onDisk = await b.openSegment(segment)
  const fragments = await scan(onDisk)
  assert.ok(fragments.length >= 290)
  await archiveAll(b)
  await b.free()
  await using archived = await b.openSegment(await first(b))
  const asked = await requestsOf(b, async () => assert.deepEqual(await scan(archived), fragments))
  assert.deepEqual(asked, ['get'])
  // 3 MB of an export: every fragment without its header.
  const exported = await b.newPlayback().openExport({ stream: 'site/gate' })
  const reads = await requestsOf(b, () => Array.fromAsync(exported.read({ start: 0, end: exported.sizeBytes })))
  assert.deepEqual(reads, ['head', 'get', 'get'])
})

/** Fragments as far as an index looks at them: boxes of any content. */
function manyBoxes(count: number): { file: Buffer; offsets: readonly number[] } {
  const [boxBytes, mediaBytes] = [500, 60]
  const file = Buffer.alloc(count * (boxBytes + mediaBytes))
  const offsets = Array.from({ length: count }, (_, i) => i * (boxBytes + mediaBytes))
  for (const [i, at] of offsets.entries()) {
    file.fill(i % 251, at, at + boxBytes + mediaBytes)
    file.writeUInt32BE(boxBytes, at)
    file.write('moof', at + 4, 'latin1')
    file.writeUInt32BE(mediaBytes, at + boxBytes)
    file.write('mdat', at + boxBytes + 4, 'latin1')
  }
  return { file, offsets }
}

test('an index that is longer than one request is read a chunk at a time', async () => {
  await using b = await archiveBench()
  const { file, offsets } = manyBoxes(4000)
  const path = 'site/gate/file.mp4'
  await mkdir(absolutePath(b.directory, 'site/gate'), { recursive: true })
  await writeFile(absolutePath(b.directory, path), file)
  await b.archive.put({ path, sizeBytes: file.length }, new AbortController().signal)
  const index = await b.objects.head(`recordings/${path}.index`)
  assert.ok(index.sizeBytes > 2_000_000 && index.sizeBytes < 0.96 * file.length, `${index.sizeBytes}`)
  await using source = await b.archive.open(path)
  const asked = await requestsOf(b, async () => {
    for (const at of offsets) assert.ok((await source.read(at, 516)).equals(file.subarray(at, at + 516)))
  })
  // The first mebibyte, and four or five chunks behind it.
  assert.ok(asked.length >= 5 && asked.length <= 6, asked.join())
  // What is no header comes from the file itself, and so does what is not wholly one.
  for (const [at, length] of [
    [518, 20],
    [500, 60],
    [100, 1000],
    [file.length - 5, 100],
    [file.length, 10],
  ] as const) {
    assert.deepEqual(await source.read(at, length), file.subarray(at, at + length))
  }
})

test('without an index, or with a damaged one, a file plays all the same', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 4 })
  const segment = await first(b)
  const before = await playedBytes(b.newPlayback(), [segment])
  await archiveAll(b)
  await b.free()
  const file = join(b.objectsDirectory, 'recordings', `${segment.path}.index`)
  const index = await readFile(file)
  const damaged = [0, 5, 12, 30, 38, 60, index.length - 1].map((at) => {
    const bytes = Buffer.from(index)
    bytes[at] = (bytes[at] ?? 0) ^ 0x55
    return bytes
  })
  for (const bytes of [...damaged, index.subarray(0, 30), index.subarray(0, -10), Buffer.alloc(0), undefined]) {
    await (bytes ? writeFile(file, bytes) : rm(file))
    assert.deepEqual(await playedBytes(b.newPlayback(), [segment]), before)
  }
})

test('a file that is freed between look-up and opening is opened in the archive', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 4 })
  const before = await first(b)
  const bytes = await readFile(absolutePath(b.directory, before.path))
  const exported = await b.newPlayback().openExport({ stream: 'site/gate' })
  await archiveAll(b)
  const between = await first(b)
  await b.free()
  for (const segment of [before, between, await first(b)]) {
    await using source = await b.openSegment(segment)
    assert.deepEqual(Buffer.concat(await Array.fromAsync(source.media([{ offset: 0, sizeBytes: bytes.length }]))), bytes)
  }
  assert.ok((await Array.fromAsync(exported.read({ start: 0, end: exported.sizeBytes }))).length > 0)
})

test('an object that is gone is a recording that is gone; a store that is away is told as such', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 10, segmentSeconds: 5 })
  await archiveAll(b)
  await b.free()
  const segment = await first(b)
  const away = `${b.objectsDirectory}.away`
  await rename(b.objectsDirectory, away)
  await assert.rejects(b.newPlayback().openMedia(segment.id), { code: 'OBJECTS_UNAVAILABLE' })
  await assert.rejects(b.newPlayback().playlist({ stream: 'site/gate' }, { mediaUrl: String }), { code: 'OBJECTS_UNAVAILABLE' })
  await assert.rejects(b.newPlayback().openExport({ stream: 'site/gate' }), { code: 'OBJECTS_UNAVAILABLE' })
  await rename(away, b.objectsDirectory)
  await b.archive.remove(segment.path)
  await assert.rejects(b.newPlayback().openMedia(segment.id), { code: 'RECORDING_NOT_FOUND' })
  const playlist = await b.newPlayback().playlist({ stream: 'site/gate' }, { mediaUrl: String })
  assert.ok(!playlist.includes(segment.id) && playlist.includes('#EXTINF'))
})
