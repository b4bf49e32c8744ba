import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { openChunk } from './chunk-file.ts'
import type { ChunkPacket } from './chunk-format.ts'
import { ChunkWriter } from './chunk-writer.ts'
import type { ChunkStream } from './chunk-description.ts'
import { loadChunk, startWorkshop } from './transcode.fixture.ts'

const stream: ChunkStream = {
  kind: 'audio',
  codec: 'opus',
  timeBase: { num: 1, den: 48_000 },
  extradata: Buffer.from('OpusHead').toString('base64'),
  sideData: [],
  profile: -99,
  level: -99,
  sampleFormat: 'flt',
  sampleRate: 48_000,
  channels: 2,
  channelMask: '3',
  frameSize: 960,
  initialPadding: 312,
  bitsPerSecond: 96_000,
}
const packets: ChunkPacket[] = [
  { pts: -312, dts: -312, durationTicks: 960, isKeyframe: true, data: Buffer.from([1]) },
  { pts: 2 ** 40, dts: -(2 ** 40), durationTicks: 0, isKeyframe: false, data: Buffer.alloc(300_000, 7) },
  { pts: 2 ** 40 + 1, dts: 5, durationTicks: 2 ** 32 - 1, isKeyframe: true, data: Buffer.alloc(900_000, 8) },
]

async function writeChunk(path: string): Promise<void> {
  await using writer = await ChunkWriter.open(path, stream)
  for (const packet of packets) await writer.write(packet)
  const end = await writer.close()
  assert.equal(end.packetCount, 3)
  assert.equal(end.sizeBytes, 1_200_001)
}

test('a chunk comes back as it was, from a file and over HTTP', async () => {
  await using workshop = await startWorkshop()
  const path = workshop.outputPath('a.chunk')
  await writeChunk(path)
  for (const location of [path, workshop.urlOf(path)]) {
    const loaded = await loadChunk(location)
    assert.deepEqual(loaded.stream, stream)
    assert.deepEqual(loaded.packets, packets)
    assert.equal(loaded.end?.packetCount, 3)
  }
})

test('a chunk that was not finished, was cut or was changed is refused', async () => {
  await using workshop = await startWorkshop()
  const path = workshop.outputPath('a.chunk')
  await writeChunk(path)
  const whole = await readFile(path)
  const changed = Buffer.from(whole)
  changed[whole.length - 1000] = 0
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /ends 8 bytes early/],
    ['other', Buffer.from('#EXTM3U and so on'), /no chunk/],
    ['no description', Buffer.concat([whole.subarray(0, 8), Buffer.from([0, 0, 0, 2]), Buffer.from('{}')]), /schema/],
    ['cut', whole.subarray(0, 700_000), /ends \d+ bytes early/],
    ['without end', whole.subarray(0, whole.length - 40), /ends 4 bytes early/],
    ['changed', changed, /digest/],
  ]
  for (const [name, bytes, message] of cases) {
    await writeFile(path, bytes)
    await assert.rejects(loadChunk(path), { code: 'INPUT_DAMAGED', message }, name)
  }
})

test('a chunk that is not there is told apart from a server that is not there', async () => {
  await using workshop = await startWorkshop()
  await assert.rejects(openChunk(workshop.outputPath('none.chunk')), { code: 'INPUT_DAMAGED' })
  await assert.rejects(openChunk(workshop.urlOf('none.chunk')), { code: 'INPUT_DAMAGED' })
  await assert.rejects(openChunk('http://127.0.0.1:1/none.chunk'), { code: 'SOURCE_UNREACHABLE' })
})
