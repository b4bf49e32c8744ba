/** Records generated media at 100 times its pace until it is killed. Arguments: directory, database file, first millisecond of media, disk. */
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '#lib/clock.ts'
import { createDirectDisk } from '#live/recorder/direct-disk.ts'
import { IndexWriter } from '#live/recorder/index-writer.ts'
import { Recorder } from '#live/recorder/recorder.ts'
import { nodeDisk, type RecordingDisk } from '#live/recorder/recording-disk.ts'
import { eventList, media, openIndex, packager, silentLog } from '#live/recorder/recording.fixture.ts'

const [directory = '', database = '', fromMs = '', diskName = ''] = process.argv.slice(2)
const disk = diskName === 'direct' ? createDirectDisk() : nodeDisk

/** Tells the parent what has been written, as soon as it is. */
const telling: RecordingDisk = {
  ...disk,
  async create(path) {
    const file = await disk.create(path)
    return {
      datasync: () => file.datasync(),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      close: () => file.close(),
      async writev(buffers, position) {
        const written = await file.writev(buffers, position)
        process.send?.({ path, sizeBytes: position + written })
        return written
      },
    }
  },
}

const { index } = await openIndex(database)
const rows = new IndexWriter({ index, log: silentLog })
const settings = { directory, flushMilliseconds: 10, sync: 'none' } as const
const deps = { rows, events: eventList(), clock: systemClock, log: silentLog, disk: telling }
const recorder = new Recorder({ stream: 'site/gate', segmentSeconds: 5, settings, ...deps })
recorder.start()
const made = packager()
made.addListener(recorder)
process.send?.('ready')
let written = 0
for (const unit of media({ fromMs: Number(fromMs), seconds: 3600, frameBytes: 2000 })) {
  made.write(unit)
  written += 1
  if (written % 15 === 0) await delay(2)
}
