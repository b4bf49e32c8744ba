/**
 * An idle Millrace: time from the command to "is running", and resident memory: as soon as it runs, and when everything has happened that an idle
 * server does by itself. Its worker is then listed by the API, and ten seconds have passed. Five starts.
 *
 * Run: node bench/start.ts
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { until } from '../test/support/until.ts'
import { usageOf } from './support/process-usage.ts'

const launcher = join(import.meta.dirname, '../bin/millrace')
const names = ['API', 'RTSP', 'RTSP_RTP', 'KAFKA', 'GRPC', 'METRICS']
const ports = Object.fromEntries(names.map((name) => [`MILLRACE_${name}_PORT`, '0']))
const quietMs = 10_000
const everyMs = 250

/** `first` as soon as it runs, `idle` at the end, `most` of all that was seen between. */
type Memory = { readonly first: number; readonly idle: number; readonly most: number }

async function watchMemory(pid: number, url: string): Promise<Memory> {
  const startMs = performance.now()
  const seen = [megabytesOf(pid)]
  while (performance.now() - startMs < quietMs) {
    await new Promise((resolve) => setTimeout(resolve, everyMs))
    seen.push(megabytesOf(pid))
  }
  await until(async () => (await (await fetch(`${url}/api/v1/nodes`)).text()).includes('"state":"active"'), {
    what: 'a worker that is listed',
  })
  return { first: seen[0] ?? 0, idle: seen.at(-1) ?? 0, most: Math.max(...seen) }
}

function megabytesOf(pid: number): number {
  return usageOf([pid]).rssBytes / 1e6
}

console.log('ready ms   RSS MB: first   idle   most')
for (let run = 0; run < 5; run++) {
  await using directory = await temporaryDirectory()
  const startMs = performance.now()
  const child = spawn(launcher, ['serve'], {
    cwd: directory.path,
    env: { ...process.env, ...ports },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let url: string | undefined
  for await (const line of createInterface({ input: child.stderr })) {
    url = /"api":"([^"]+)".*millrace is running/.exec(line)?.[1]
    if (url !== undefined) break
  }
  const readyMs = performance.now() - startMs
  assert.ok(url !== undefined && child.pid !== undefined, 'the server does not run')
  const { first, idle, most } = await watchMemory(child.pid, url)
  const columns = [
    readyMs.toFixed(0).padStart(8),
    first.toFixed(0).padStart(15),
    ...[idle, most].map((mb) => mb.toFixed(0).padStart(6)),
  ]
  console.log(columns.join(' '))
  const closed = once(child, 'exit')
  child.kill('SIGTERM')
  await closed
}
