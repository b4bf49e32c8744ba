/** The event log behind the Kafka port, until it is killed. Arguments: directory, port, disk. Tells the parent when it listens. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Disk, DiskFile } from '#eventlog/wal/disk.ts'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import { KafkaNode } from '../support/kafka-server.ts'

const longestDelayMs = 6

/** Takes its time before each write and each sync, as a disk does that others use too. */
const slowDisk: Disk = {
  ...realDisk,
  async open(path, options) {
    const file = await realDisk.open(path, options)
    return {
      sizeBytes: () => file.sizeBytes(),
      read: (position, lengthBytes) => file.read(position, lengthBytes),
      writeZeros: (position, lengthBytes) => file.writeZeros(position, lengthBytes),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      async write(...args: Parameters<DiskFile['write']>) {
        await delay(Math.random() * longestDelayMs)
        await file.write(...args)
      },
      async writeSynced(...args: Parameters<DiskFile['writeSynced']>) {
        await delay(2 * Math.random() * longestDelayMs)
        await file.writeSynced(...args)
      },
      async sync() {
        await delay(Math.random() * longestDelayMs)
        await file.sync()
      },
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    }
  },
}

const [directory = '', port = '0', disk = ''] = process.argv.slice(2)
// Small: much is closed, committed and recycled within a short life.
const logSettings = { walSegmentBytes: 1_048_576, objectBytes: 262_144, objectMilliseconds: 50 }
const logOptions = disk === 'slow' ? { disk: slowDisk } : {}
const node = await KafkaNode.open({ directory, logSettings, logOptions, settings: { port: Number(port) } })
process.send?.({ port: node.port })
process.on('disconnect', () => process.exit(1))
