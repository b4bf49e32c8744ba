/**
 * A process that writes to a write-ahead log at full speed until it is killed. Prints `+id` for what was acknowledged and `-id` before it settles it.
 *
 * Run: node wal-writer.ts <directory> <first id>
 */
import { writeSync } from 'node:fs'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import { allRecovered, openWal, testEntry } from '#eventlog/wal/wal.fixture.ts'

const pause = new Int32Array(new SharedArrayBuffer(4))

/** Returns when the pipe has it; while the parent is slow to read, nothing else happens here. */
function tell(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`)
      return
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}

const [directory = '', firstId = '1'] = process.argv.slice(2)
const wal = await openWal(realDisk, { directory, settings: { segmentBytes: 1_048_576 } })
for (const { position, baseOffset } of await allRecovered(wal)) {
  if (baseOffset % 2 === 0) continue
  tell(`-${baseOffset}`)
  wal.settle(position)
}
let id = Number(firstId)

async function produce(): Promise<void> {
  for (;;) {
    const mine = id++
    const position = await wal.append(testEntry(mine, mine % 50 === 0 ? 200_000 : undefined))
    tell(`+${mine}`)
    if (mine % 8 === 0) continue
    tell(`-${mine}`)
    wal.settle(position)
  }
}

await Promise.all(Array.from({ length: 64 }, produce))
