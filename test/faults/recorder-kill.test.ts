import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fragmentSamples, scanFragments } from '#formats/mp4/fragment-index.ts'
import { openFileSource } from '#live/recorder/file-source.ts'
import { healRecordings } from '#live/recorder/heal.ts'
import { readRecordedHead } from '#live/recorder/recorded-file.ts'
import { epochMs, openIndex, silentLog } from '#live/recorder/recording.fixture.ts'
import type { RecordingSegment } from '#live/recorder/recording-index.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const lanes = 5
const killsPerLane = 10
const longestLifeMs = 400

test(`killed at any moment, a recorder leaves files that heal and an index that matches them (seed ${seed})`, async (t) => {
  const survived = await Promise.all(Array.from({ length: lanes }, (_, lane) => killAgainAndAgain(lane)))
  t.diagnostic(`${lanes * killsPerLane} kills, ${survived.reduce((sum, files) => sum + files, 0)} files survived`)
  assert.ok(survived.every((files) => files > 0))
})

/** Kill, heal, check, and record on in the same place, as a machine with a bad day does. Returns how many files there are in the end. */
async function killAgainAndAgain(lane: number): Promise<number> {
  await using directory = await temporaryDirectory()
  const recordings = join(directory.path, 'recordings')
  const database = join(directory.path, 'index.db')
  let state = seed + lane
  for (let kill = 0; kill < killsPerLane; kill++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const fromMs = 10_000 + kill * 4_000_000
    const lifeMs = (state >>> 8) % longestLifeMs
    const written = await recordUntilKilled([recordings, database, String(fromMs), lane % 2 === 0 ? 'direct' : 'cached'], lifeMs)
    await using opened = await openIndex(database)
    const report = await healRecordings({ directory: recordings, index: opened.index, log: silentLog })
    assert.equal(report.failed, 0)
    const segments = await opened.index.list({ limit: 10_000 })
    await checkFilesMatch(recordings, segments)
    for (const segment of segments) if (segment.startedAtMs >= epochMs + fromMs) await checkPlays(recordings, segment, written)
    const second = await healRecordings({ directory: recordings, index: opened.index, log: silentLog })
    assert.deepEqual([second.healed, second.adopted, second.removedRows, second.removedFiles, second.cutBytes], [0, 0, 0, 0, 0])
    if (kill === killsPerLane - 1) return segments.length
  }
  return 0
}

/** What the child said was written, by file: the end of the last write. */
type Written = ReadonlyMap<string, number>

async function recordUntilKilled(args: string[], lifeMs: number): Promise<Written> {
  const written = new Map<string, number>()
  const child = fork(join(import.meta.dirname, 'recorder-child.ts'), args, { execArgv: [] })
  const gone = once(child, 'exit')
  const { promise: isReady, resolve: ready } = Promise.withResolvers<void>()
  child.on('message', (message) => {
    if (message === 'ready') ready()
    else if (isWritten(message)) written.set(message.path, message.sizeBytes)
  })
  await Promise.race([isReady, gone.then(([code]) => assert.fail(`the child ended with ${String(code)} before it recorded`))])
  await delay(lifeMs)
  child.kill('SIGKILL')
  const [, signal] = await gone
  assert.equal(signal, 'SIGKILL')
  return written
}

function isWritten(message: unknown): message is { path: string; sizeBytes: number } {
  return typeof message === 'object' && message !== null && 'path' in message && 'sizeBytes' in message
}

async function checkFilesMatch(directory: string, segments: readonly RecordingSegment[]): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => relative(directory, join(entry.parentPath, entry.name)))
  assert.deepEqual(files.toSorted(), segments.map(({ path }) => path).toSorted())
}

/** Every part parses, time goes on from part to part, every frame has the bytes that were recorded, and nothing that was written is lost. */
async function checkPlays(directory: string, segment: RecordingSegment, written: Written): Promise<void> {
  const path = join(directory, segment.path)
  const bytes = await readFile(path)
  assert.equal(segment.state, 'closed')
  assert.equal(segment.sizeBytes, bytes.length)
  assert.ok(bytes.length >= (written.get(path) ?? 0), 'a finished write is not lost when only the process dies')
  await using source = await openFileSource(path)
  const { init, mediaOffset } = await readRecordedHead(source)
  let end = mediaOffset
  let startMs: number | undefined
  let endMs: number | undefined
  for await (const fragment of scanFragments(source, init, mediaOffset)) {
    if (endMs === undefined) assert.ok(fragment.isIndependent)
    else assert.ok(Math.abs(fragment.startMs - endMs) < 0.1)
    startMs ??= fragment.startMs
    endMs = fragment.endMs
    end = fragment.offset + fragment.sizeBytes
    for (const { track, samples } of fragmentSamples(fragment.moof, fragment.offset, init)) {
      for (const { dtsTicks, offset, sizeBytes } of samples) {
        // The generator's bytes; a picture begins with its length and type.
        for (let i = track.kind === 'video' ? 5 : 0; i < sizeBytes; i += 50) {
          assert.equal(bytes[offset + i], 1 + ((dtsTicks + i * 31) % 255))
        }
      }
    }
  }
  assert.equal(end, bytes.length)
  assert.equal(segment.durationMs, Math.round((endMs ?? 0) - (startMs ?? 0)))
}
