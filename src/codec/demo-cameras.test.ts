import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { createLog } from '#lib/log.ts'
import { startRtspSink } from '../../test/support/peers/rtsp-sink.ts'
import { until } from '../../test/support/until.ts'
import { demoCameras, startDemoCameras } from './demo-cameras.ts'

const log = createLog({ level: 'silent', pretty: false })

test('four cameras publish H.264, two of them with sound', async () => {
  await using sink = await startRtspSink()
  await using demo = await startDemoCameras({ rtspUrl: sink.url, cameras: demoCameras, log })
  await demo.ready
  const codecsOf = (sdp: string) => [...sdp.matchAll(/^a=rtpmap:\d+ ([^/]+)/gm)].map(([, codec]) => codec)
  const published = Object.fromEntries(sink.sessions.map(({ path, sdp }) => [path, codecsOf(sdp)]))
  assert.deepEqual(published, {
    '/demo/card': ['H264', 'MPEG4-GENERIC'],
    '/demo/ocean': ['H264', 'opus'],
    '/demo/aurora': ['H264'],
    '/demo/colony': ['H264'],
  })
  await until(() => sink.sessions.every(({ packetCount }) => packetCount > 50))
})

test('a camera comes back when the server was away', async () => {
  const cameras = demoCameras.slice(0, 1)
  const sink = await startRtspSink()
  const port = Number(new URL(sink.url).port)
  await using demo = await startDemoCameras({ rtspUrl: sink.url, cameras, log })
  await demo.ready
  await until(() => sink.sessions[0]?.packetCount)
  await sink[Symbol.asyncDispose]()
  await using again = await startRtspSink({ port })
  await until(() => again.sessions.at(-1)?.packetCount)
})

test('the process is replaced when it dies', async () => {
  const lines: { pid?: number; msg: string }[] = []
  const spying = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const startedPids = () => lines.filter(({ msg }) => msg === 'demo cameras started').map(({ pid }) => pid)
  await using sink = await startRtspSink()
  await using demo = await startDemoCameras({ rtspUrl: sink.url, cameras: demoCameras.slice(3), log: spying })
  await demo.ready
  const [pid] = startedPids()
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  await until(() => startedPids().length === 2)
  await until(() => sink.sessions[1]?.packetCount)
  assert.ok(lines.some(({ msg }) => msg === 'demo cameras failed and start again'))
})

test('cameras wait for a server that is not there, and end when told to', async () => {
  const abort = new AbortController()
  await using demo = await startDemoCameras({ rtspUrl: 'rtsp://127.0.0.1:1', cameras: demoCameras, log, signal: abort.signal })
  abort.abort()
  await demo.ready
})
