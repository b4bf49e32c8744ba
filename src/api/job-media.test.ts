import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UrlSigner } from '#auth/url-signer.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import type { StreamStatus } from '#live/status.ts'
import { startApi } from './api.fixture.ts'
import { jobMedia } from './job-media.ts'

type Deps = Parameters<typeof jobMedia>[0]

const signer = new UrlSigner({ secret: Buffer.alloc(32, 1), clock: systemClock })
const refusedWith = (code: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === code

function media(streams: Deps['streams'], changes: Partial<Deps> = {}) {
  const playback = { timeline: async () => [{ startedAtMs: 0, endedAtMs: 1, sizeBytes: 1, segmentCount: 1 }] }
  return jobMedia({ streams, playback, signer, rtspPort: () => 8554, credential: () => undefined, ...changes })
}

test('a live job reads and publishes by RTSP, on the host that its worker knows', async () => {
  await using api = await startApi()
  const link = await media(api.registry).liveLink({ source: 'site/gate', target: 'site/gate-720p' }, '10.0.0.5')
  assert.deepEqual(link, { sourceUrl: 'rtsp://10.0.0.5:8554/site/gate', targetUrl: 'rtsp://10.0.0.5:8554/site/gate-720p' })
  const { sourceUrl } = await media(api.registry, { credential: () => 'worker:a b@c' }).liveLink(
    { source: 'lobby', target: 'x' },
    'h',
  )
  assert.equal(sourceUrl, 'rtsp://worker:a%20b%40c@h:8554/lobby')
})

test('a stream that is online says how large it is', async () => {
  await using api = await startApi()
  const [status] = api.registry.list()
  assert.ok(status)
  const tracks: StreamStatus['tracks'] = [{ id: 1, kind: 'video', codec: 'h264', clockRateHz: 90_000, width: 640, height: 360 }]
  const online: StreamStatus = { ...status, state: 'online', tracks }
  const { width, height, hasAudio } = await media({ find: () => online }).liveLink({ source: 'a', target: 'b' }, 'h')
  assert.deepEqual([width, height, hasAudio], [640, 360, false])
})

test('a stream that is not there, and a server without RTSP, are told so', async () => {
  await using api = await startApi()
  const streams = { source: 'nobody', target: 'x' }
  await assert.rejects(media(api.registry).liveLink(streams, 'h'), refusedWith('STREAM_NOT_FOUND'))
  const without = media(api.registry, { rtspPort: () => undefined })
  await assert.rejects(without.liveLink({ source: 'lobby', target: 'x' }, 'h'), refusedWith('UNSUPPORTED'))
})

test('a recording has an address with its own permission, if there is one', async () => {
  const nobody = { find: () => undefined }
  const recording = { stream: 'site/gate', from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:01:00Z' }
  const url = await media(nobody).recordingUrl(recording)
  assert.ok(url.startsWith('/api/v1/streams/site%2Fgate/export.mp4?from=2026-01-01T00%3A00%3A00Z&to='))
  assert.ok(signer.isSigned(url))
  const empty = media(nobody, { playback: { timeline: async () => [] } })
  await assert.rejects(empty.recordingUrl(recording), refusedWith('RECORDING_NOT_FOUND'))
})
