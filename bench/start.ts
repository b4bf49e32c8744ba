/**
 * An idle Millrace: time from the command to "is running", and resident memory two seconds later, over five starts.
 *
 * Run: node bench/start.ts
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { usageOf } from './support/process-usage.ts'

const launcher = join(import.meta.dirname, '../bin/millrace')
const names = ['API', 'RTSP', 'RTSP_RTP', 'KAFKA', 'GRPC', 'METRICS']
const ports = Object.fromEntries(names.map((name) => [`MILLRACE_${name}_PORT`, '0']))

console.log('ready ms   RSS MB')
for (let run = 0; run < 5; run++) {
  await using directory = await temporaryDirectory()
  const startMs = performance.now()
  const child = spawn(launcher, ['serve'], {
    cwd: directory.path,
    env: { ...process.env, ...ports },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('millrace is running')) break
  const readyMs = performance.now() - startMs
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const megabytes = usageOf([child.pid ?? 0]).rssBytes / 1e6
  console.log(`${readyMs.toFixed(0).padStart(8)} ${megabytes.toFixed(0).padStart(8)}`)
  const closed = once(child, 'exit')
  child.kill('SIGTERM')
  await closed
}
