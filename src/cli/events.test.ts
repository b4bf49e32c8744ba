import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { answerJson, startHttpServer } from '../../test/support/http-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { until } from '../../test/support/until.ts'
import type { EventMessage } from '#api/contract.ts'
import { ManualClock } from '#lib/clock.ts'
import { runCommandLine } from './program.ts'

function event(sequence: number): EventMessage {
  return {
    sequence,
    at: '2026-01-02T10:00:00.000Z',
    type: 'stream.online',
    subject: 'lobby',
    data: { stream: 'lobby', tracks: ['h264'] },
  }
}

/** The event API with a WebSocket that answers each connection by `onSocket`. */
async function eventServer(onSocket: (socket: WebSocket, url: string) => void) {
  const server = await startHttpServer((_request, response) =>
    answerJson(response, 200, { items: [], oldestSequence: 0, nextSequence: 0 }),
  )
  const sockets = new WebSocketServer({ noServer: true })
  server.onUpgrade((request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (opened) => onSocket(opened, request.url ?? '')),
  )
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      await server[Symbol.asyncDispose]()
    },
  }
}

test('events are followed, also over a connection that breaks, from the next one on', async () => {
  const urls: string[] = []
  await using server = await eventServer((socket, url) => {
    urls.push(url)
    socket.send('no event')
    socket.send(JSON.stringify(event(urls.length * 10)))
    if (urls.length === 1) socket.close()
  })
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const context = { terminal, environment: {}, clock: new ManualClock(), signal: stop.signal }
  const done = runCommandLine(['events', '--json', '--type', 'stream.*', '--url', server.url], context)
  await until(() => terminal.output.split('\n').length === 3)
  stop.abort()
  assert.equal(await done, 0)
  assert.deepEqual(
    terminal.output
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line)),
    [event(10), event(20)],
  )
  assert.deepEqual(urls, ['/api/v1/events?type=stream.*', '/api/v1/events?from=11&type=stream.*'])
  assert.match(terminal.errors, /the connection broke; trying again/)
})

test('for people an event is a line', async () => {
  await using server = await eventServer((socket) => socket.send(JSON.stringify(event(1))))
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const done = runCommandLine(['events', '--url', server.url], {
    terminal,
    environment: {},
    clock: new ManualClock(),
    signal: stop.signal,
  })
  await until(() => terminal.output !== '')
  stop.abort()
  assert.equal(await done, 0)
  assert.match(terminal.output, /^2026-01-0\d \d\d:00:00 {2}stream.online {2}lobby {2}tracks=\["h264"\]\n$/)
})

test('credentials that are refused are told, and not tried again', async () => {
  await using server = await startHttpServer((_request, response) =>
    answerJson(response, 401, { code: 'UNAUTHORIZED', message: 'who are you?' }),
  )
  const terminal = new MemoryTerminal()
  const context = { terminal, environment: {}, clock: new ManualClock(), signal: new AbortController().signal }
  assert.equal(await runCommandLine(['events', '--url', server.url], context), 1)
  assert.match(terminal.errors, /^error UNAUTHORIZED: who are you\?\nhint: give user and password/)
})
