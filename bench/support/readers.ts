/**
 * N connections that play one RTSP stream and throw it away. Says `ready` when all of them get pictures; each `count` line on its
 * input starts the count anew and prints the one before, except the first.
 */
import { createInterface } from 'node:readline'
import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import { pullRtsp } from '#live/sources/rtsp/rtsp-source.ts'
import { until } from '../../test/support/until.ts'

const [url = '', count = '1'] = process.argv.slice(2)
const pull = pullRtsp({ clock: systemClock, log: createLog({ level: 'error', pretty: false }) })
const stop = new AbortController()
const units = Array.from({ length: Number(count) }, () => 0)
const readers = units.map((_, i) =>
  pull({
    url,
    transport: 'tcp',
    silenceMs: 20_000,
    signal: stop.signal,
    onTracks: () => {},
    onUnit: () => {
      units[i] = (units[i] ?? 0) + 1
    },
    onLoss: () => {},
  }),
)
await until(() => units.every((received) => received > 0), { what: 'all readers to get pictures', timeoutMs: 60_000 })
process.stdout.write('ready\n')
let isCounting = false
for await (const _ of createInterface({ input: process.stdin })) {
  if (isCounting) process.stdout.write(`${units.reduce((sum, received) => sum + received, 0)}\n`)
  isCounting = true
  units.fill(0)
}
stop.abort()
await Promise.allSettled(readers)
