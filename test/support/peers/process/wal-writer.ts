/**
 * A process that writes to a write-ahead log at full speed until it is killed. Prints `+id` for what was acknowledged and `-id` before it settles it.
 *
 * Run: node wal-writer.ts <directory> <first id>
 */
import { writeSync } from 'node:fs'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import { allRecovered, openWal, testEntry } from '#eventlog/wal/wal.fixture.ts'

const [directory = '', firstId = '1'] = process.argv.slice(2)
const wal = await openWal(realDisk, { directory, settings: { segmentBytes: 1_048_576 } })
for (const { position, baseOffset } of await allRecovered(wal)) {
  if (baseOffset % 2 === 0) continue
  writeSync(1, `-${baseOffset}\n`)
  wal.settle(position)
}
let id = Number(firstId)

async function produce(): Promise<void> {
  for (;;) {
    const mine = id++
    const position = await wal.append(testEntry(mine, mine % 50 === 0 ? 200_000 : undefined))
    writeSync(1, `+${mine}\n`)
    if (mine % 8 === 0) continue
    writeSync(1, `-${mine}\n`)
    wal.settle(position)
  }
}

await Promise.all(Array.from({ length: 64 }, produce))
