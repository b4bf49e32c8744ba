import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { answerJson, startHttpServer } from '../../test/support/http-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { ManualClock } from '#lib/clock.ts'
import { runCommandLine } from './program.ts'

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))

/** Serves the content with ranges; `breakAt` ends the first answers after so many bytes. */
function exportServer({ breakAt = [], etags = ['"a"'] }: { breakAt?: number[]; etags?: string[] } = {}) {
  let answers = 0
  return startHttpServer((request, response) => {
    const etag = etags[Math.min(answers, etags.length - 1)] ?? ''
    const start = request.headers['if-range'] === etag ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0
    response.writeHead(start > 0 ? 206 : 200, { etag, 'content-length': content.length - start, 'content-type': 'video/mp4' })
    const end = breakAt[answers++]
    if (end === undefined) response.end(content.subarray(start))
    else response.write(content.subarray(start, end), () => setImmediate(() => response.destroy()))
  })
}

async function runExport(url: string, file: string, flags: string[] = [], signal = new AbortController().signal) {
  const terminal = new MemoryTerminal()
  const argv = [
    'recordings',
    'export',
    'site-2/gate',
    '--from',
    '2026-01-01T00:00:00Z',
    '--to',
    '2026-01-01T00:01:00Z',
    '--url',
    url,
    '--output',
    file,
  ]
  const code = await runCommandLine([...argv, ...flags], { terminal, environment: {}, clock: new ManualClock(), signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

test('a stretch is written whole, and nothing is left beside it', async () => {
  await using directory = await temporaryDirectory()
  await using server = await exportServer()
  const file = join(directory.path, 'x.mp4')
  const { code, output } = await runExport(server.url, file)
  assert.equal(code, 0)
  assert.match(output, /^Wrote .*x.mp4: 300 kB in /)
  assert.ok((await readFile(file)).equals(content))
  assert.ok(!existsSync(`${file}.part`))
  assert.equal(
    server.requests[0]?.url,
    '/api/v1/streams/site-2%2Fgate/export.mp4?from=2026-01-01T00%3A00%3A00.000Z&to=2026-01-01T00%3A01%3A00.000Z',
  )
})

test('a download that breaks off goes on where it was', async () => {
  await using directory = await temporaryDirectory()
  await using server = await exportServer({ breakAt: [100_000, 200_000] })
  const file = join(directory.path, 'x.mp4')
  assert.equal((await runExport(server.url, file)).code, 0)
  assert.ok((await readFile(file)).equals(content))
  assert.equal(server.requests.length, 3)
  assert.match(server.requests[2]?.headers.range ?? '', /^bytes=[1-9]\d*-$/)
})

test('when the bytes have changed meanwhile it starts again', async () => {
  await using directory = await temporaryDirectory()
  await using server = await exportServer({ breakAt: [100_000], etags: ['"a"', '"b"'] })
  const file = join(directory.path, 'x.mp4')
  assert.equal((await runExport(server.url, file)).code, 0)
  assert.ok((await readFile(file)).equals(content))
})

test('a file that is there is kept, unless --force', async () => {
  await using directory = await temporaryDirectory()
  await using server = await exportServer()
  const file = join(directory.path, 'x.mp4')
  await writeFile(file, 'old')
  const refused = await runExport(server.url, file)
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /^error OUTPUT_FAILED: .* exists already; choose another --output, or overwrite it with --force/)
  assert.equal(await readFile(file, 'utf8'), 'old')
  assert.equal((await runExport(server.url, file, ['--force'])).code, 0)
  assert.ok((await readFile(file)).equals(content))
})

test('an error of the server, a bad directory and Ctrl+C leave no file', async () => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'x.mp4')
  await using empty = await startHttpServer((_request, response) =>
    answerJson(response, 404, { code: 'RECORDING_NOT_FOUND', message: 'nothing there' }),
  )
  const missing = await runExport(empty.url, file)
  assert.deepEqual([missing.code, missing.errors], [1, 'error RECORDING_NOT_FOUND: nothing there\n'])
  assert.match((await runExport(empty.url, '/nowhere/x.mp4')).errors, /^error OUTPUT_FAILED: \/nowhere\/x.mp4 cannot be written/)
  const stop = new AbortController()
  await using endless = await startHttpServer((_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { etag: '"a"', 'content-length': 1_000_000 }).write('begins')
  })
  const done = runExport(endless.url, file, [], stop.signal)
  await until(() => existsSync(`${file}.part`) && endless.requests.length > 0)
  stop.abort()
  assert.equal((await done).code, 130)
  assert.ok(!existsSync(file) && !existsSync(`${file}.part`))
})
