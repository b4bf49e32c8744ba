import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededRandom } from '../../../test/support/random.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { realDisk } from './real-disk.ts'
import { allRecovered, openWal, testEntry } from './wal.fixture.ts'

const writer = join(import.meta.dirname, '../../../test/support/peers/process/wal-writer.ts')
const seed = Date.now() % 2 ** 31
const kills = 10

/** Lets a process write from `firstId` on, kills it in the middle, and returns the lines that it printed. */
async function writeAndKill(directory: string, firstId: number, lineCount: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory, String(firstId)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let printed = ''
  for await (const chunk of child.stdout) {
    printed += String(chunk)
    if (!child.killed && printed.split('\n').length > lineCount) child.kill('SIGKILL')
  }
  const [, signal] = await closed
  assert.equal(signal, 'SIGKILL', 'the writer ended by itself')
  return printed.slice(0, printed.lastIndexOf('\n')).split('\n')
}

test(`a process killed at full speed loses nothing that it acknowledged (seed ${seed})`, async () => {
  await using directory = await temporaryDirectory()
  const random = seededRandom(seed)
  const acknowledged = new Set<number>()
  const settled = new Set<number>()
  let highestId = 0
  for (let kill = 0; kill < kills; kill++) {
    const lines = await writeAndKill(directory.path, highestId + 1000, 200 + Math.floor(random() * 3000))
    for (const line of lines) (line.startsWith('+') ? acknowledged : settled).add(Number(line.slice(1)))
    await using wal = await openWal(realDisk, { directory: directory.path, settings: { segmentBytes: 1_048_576 } })
    assert.deepEqual(wal.unreadable, [])
    const found = await allRecovered(wal)
    for (const { baseOffset, position, isDamaged } of found) {
      assert.equal(isDamaged, false)
      assert.deepEqual(await wal.read(position), testEntry(baseOffset, position.lengthBytes).batches)
    }
    const ids = found.map(({ baseOffset }) => baseOffset)
    assert.deepEqual(
      ids,
      [...new Set(ids)].sort((a, b) => a - b),
    )
    const foundIds = new Set(ids)
    const lost = [...acknowledged].filter((id) => !settled.has(id) && !foundIds.has(id))
    assert.deepEqual(lost, [])
    for (const id of ids) acknowledged.add(id)
    highestId = Math.max(...acknowledged)
  }
})
