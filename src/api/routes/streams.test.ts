import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { video, videoTrack } from '../../../test/support/media.ts'
import { startApi } from '../api.fixture.ts'
import { readerListSchema, streamListSchema, streamViewSchema } from '../contract.ts'

const peer = { id: 'p1', protocol: 'rtsp', remoteAddress: '127.0.0.1:1' } as const

test('streams are listed by name, searched, and paged without gap or overlap', async () => {
  await using api = await startApi()
  for (const name of ['cam-1', 'cam-2', 'cam-3']) await api.call('POST', '/api/v1/streams', { name })
  const all = Value.Parse(streamListSchema, (await api.call('GET', '/api/v1/streams')).body)
  const names = ['cam-1', 'cam-2', 'cam-3', 'lobby', 'site/gate']
  assert.deepEqual([all.items.map(({ name }) => name), all.nextCursor], [names, undefined])
  const paged: string[] = []
  let query = ''
  do {
    const page = Value.Parse(streamListSchema, (await api.call('GET', `/api/v1/streams?limit=2${query}`)).body)
    assert.ok(page.items.length <= 2)
    paged.push(...page.items.map(({ name }) => name))
    query = page.nextCursor === undefined ? '' : `&cursor=${page.nextCursor}`
  } while (query !== '')
  assert.deepEqual(paged, names)
  const found = Value.Parse(streamListSchema, (await api.call('GET', '/api/v1/streams?search=GATE')).body)
  assert.deepEqual(
    found.items.map(({ name }) => name),
    ['site/gate'],
  )
})

test('a stream is created, found, changed and removed', async () => {
  await using api = await startApi()
  const created = await api.call('POST', '/api/v1/streams', { name: 'a/b', onDemand: true, recording: { retentionHours: 5 } })
  assert.deepEqual([created.status, created.headers.get('location')], [201, '/api/v1/streams/a%2Fb'])
  const view = Value.Parse(streamViewSchema, created.body)
  assert.deepEqual([view.origin, view.spec.onDemand, view.spec.recording.retentionHours], ['api', true, 5])
  const { host, port } = api.server.address
  assert.deepEqual(view.urls, { rtsp: `rtsp://${host}:8554/a/b`, hls: `http://${host}:${port}/hls/a/b/index.m3u8` })

  const changed = await api.call('PATCH', '/api/v1/streams/a%2Fb', { hls: 'off' })
  const after = Value.Parse(streamViewSchema, changed.body)
  assert.deepEqual([after.spec.hls, after.spec.onDemand, after.spec.recording.retentionHours], ['off', true, 5])
  assert.deepEqual(Object.keys(after.urls), ['rtsp'])
  assert.deepEqual((await api.call('GET', '/api/v1/streams/a%2Fb')).body, after)

  const removed = await api.call('DELETE', '/api/v1/streams/a%2Fb')
  assert.deepEqual([removed.status, removed.body], [204, undefined])
  assert.equal((await api.call('GET', '/api/v1/streams/a%2Fb')).status, 404)
})

test('streams are stopped, started and restarted, with and without an empty JSON body', async () => {
  await using api = await startApi()
  const states: unknown[] = []
  for (const action of ['stop', 'start', 'restart']) {
    const { status, body } = await api.call('POST', `/api/v1/streams/lobby/${action}`)
    states.push([status, Value.Parse(streamViewSchema, body).isEnabled])
  }
  assert.deepEqual(states, [
    [200, false],
    [200, true],
    [200, true],
  ])
  const headers = { 'content-type': 'application/json' }
  assert.equal((await api.fetch('/api/v1/streams/lobby/stop', { method: 'POST', headers })).status, 200)
})

test('recording by hand is told to the stream', async () => {
  await using api = await startApi()
  const states: unknown[] = []
  for (const action of ['start', 'pause', 'resume', 'stop']) {
    const { body } = await api.call('POST', `/api/v1/streams/lobby/recording/${action}`)
    states.push(Value.Parse(streamViewSchema, body).recording.state)
  }
  assert.deepEqual(states, ['waiting', 'paused', 'waiting', 'off'])
})

test('a published stream shows its publisher, tracks and readers', async () => {
  await using api = await startApi()
  const publication = api.registry.publish('lobby', { peer: { ...peer, userAgent: 'camera' } })
  publication.start([videoTrack])
  for (const unit of video({ frames: 30 })) publication.write(unit)
  const stream = await api.registry.openForReading('lobby')
  const sink = { bufferedBytes: 0, write() {}, tracksChanged() {}, end() {} }
  for (const id of ['r2', 'r1', 'r3']) stream.addReader({ peer: { ...peer, id }, sink })

  const view = Value.Parse(streamViewSchema, (await api.call('GET', '/api/v1/streams/lobby')).body)
  assert.deepEqual(
    [view.state, view.publisher?.userAgent, view.tracks[0]?.codec, view.readerCount],
    ['online', 'camera', 'h264', 3],
  )
  const first = Value.Parse(readerListSchema, (await api.call('GET', '/api/v1/streams/lobby/readers?limit=2')).body)
  assert.deepEqual(
    first.items.map(({ id }) => id),
    ['r1', 'r2'],
  )
  const rest = Value.Parse(
    readerListSchema,
    (await api.call('GET', `/api/v1/streams/lobby/readers?cursor=${first.nextCursor}`)).body,
  )
  assert.deepEqual([rest.items.map(({ id }) => id), rest.nextCursor], [['r3'], undefined])
})

test('passwords of sources are never shown, and what was read can be sent back', async () => {
  await using api = await startApi()
  const shown = await api.call('GET', '/api/v1/streams/site%2Fgate')
  assert.ok(!JSON.stringify(shown.body).includes('secret'))
  const { sources } = Value.Parse(streamViewSchema, shown.body).spec
  assert.deepEqual(sources, ['rtsp://***@192.0.2.1/stream1'])
  const changed = await api.call('PATCH', '/api/v1/streams/site%2Fgate', { sources: [...sources, 'publish'] })
  assert.equal(changed.status, 200)
  assert.ok(!JSON.stringify(changed.body).includes('secret'))
  assert.deepEqual(api.registry.find('site/gate')?.spec.sources, ['rtsp://admin:secret@192.0.2.1/stream1', 'publish'])
  const foreign = await api.call('PATCH', '/api/v1/streams/site%2Fgate', { sources: ['rtsp://***@192.0.2.9/'] })
  assert.equal(foreign.status, 400)
})
