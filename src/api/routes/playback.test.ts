import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import { startApi, type TestApi } from '../api.fixture.ts'
import { errorBodySchema, recordingListSchema, recordingViewSchema, timelineSchema } from '../contract.ts'
import type { Media } from '../media-answer.ts'

async function listRecordings(api: TestApi, query = '') {
  return Value.Parse(recordingListSchema, (await api.call('GET', `/api/v1/recordings${query}`)).body)
}

test('recorded files are listed by stream and time, and paged', async () => {
  await using api = await startApi()
  await api.record('site/gate', { seconds: 6 })
  await api.record('lobby', { seconds: 2, fromMs: 60_000 })
  const all = await listRecordings(api)
  assert.deepEqual(
    all.items.map(({ stream }) => stream),
    ['site/gate', 'site/gate', 'site/gate', 'lobby'],
  )
  assert.ok(all.items.every(({ startedAt, endedAt, state }) => state === 'closed' && startedAt < (endedAt ?? '')))
  const first = await listRecordings(api, '?limit=3')
  const rest = await listRecordings(api, `?limit=3&cursor=${first.nextCursor}`)
  assert.deepEqual([[...first.items, ...rest.items], rest.nextCursor], [all.items, undefined])
  assert.deepEqual(await listRecordings(api, '?stream=lobby'), { items: all.items.slice(3) })
  const second = all.items[1]?.startedAt ?? ''
  assert.deepEqual(await listRecordings(api, `?stream=site/gate&to=${second}`), { items: all.items.slice(0, 1) })
  const one = await api.call('GET', `/api/v1/recordings/${all.items[0]?.id}`)
  assert.deepEqual(Value.Parse(recordingViewSchema, one.body), all.items[0])
})

test('a recorded file is deleted once', async () => {
  await using api = await startApi()
  await api.record('lobby')
  const { id } = (await listRecordings(api)).items[0] ?? assert.fail('nothing recorded')
  assert.equal((await api.call('DELETE', `/api/v1/recordings/${id}`)).status, 204)
  assert.equal((await api.call('DELETE', `/api/v1/recordings/${id}`)).status, 404)
  assert.equal(api.history.nextSequence > api.history.oldestSequence, true)
})

test('the timeline merges what follows without a gap', async () => {
  await using api = await startApi()
  await api.record('site/gate', { seconds: 6 })
  await api.record('site/gate', { seconds: 2, fromMs: 60_000 })
  const { items } = Value.Parse(timelineSchema, (await api.call('GET', '/api/v1/streams/site%2Fgate/timeline')).body)
  assert.deepEqual(
    items.map(({ segmentCount }) => segmentCount),
    [3, 1],
  )
  assert.deepEqual((await api.call('GET', '/api/v1/streams/nobody/timeline')).body, { items: [] })
})

test('the playlist names byte ranges that can be fetched', async () => {
  await using api = await startApi()
  await api.record('site/gate', { seconds: 4 })
  const response = await api.fetch('/api/v1/streams/site%2Fgate/playback.m3u8')
  assert.deepEqual(
    [response.headers.get('content-type'), response.headers.get('cache-control')],
    ['application/vnd.apple.mpegurl', 'no-cache'],
  )
  const lines = (await response.text()).split('\n')
  assert.equal(lines[0], '#EXTM3U')
  const [, size, offset] = lines.map((line) => /^#EXT-X-BYTERANGE:(\d+)@(\d+)$/.exec(line)).find((match) => match) ?? []
  const uri = lines.find((line) => line.startsWith('/')) ?? ''
  const range = `bytes=${offset}-${Number(offset) + Number(size) - 1}`
  const part = await api.fetch(uri, { headers: { range } })
  assert.equal(part.status, 206)
  const bytes = Buffer.from(await part.arrayBuffer())
  assert.deepEqual([bytes.length, bytes.toString('latin1', 4, 8)], [Number(size), 'moof'])
})

test('media and exports answer ranges, conditions and HEAD', async (t) => {
  await using api = await startApi()
  await api.record('site/gate', { seconds: 2 })
  const { id } = (await listRecordings(api)).items[0] ?? assert.fail('nothing recorded')
  for (const path of [`/api/v1/recordings/${id}/media.mp4`, '/api/v1/streams/site%2Fgate/export.mp4']) {
    const whole = await api.fetch(path)
    const bytes = Buffer.from(await whole.arrayBuffer())
    const etag = whole.headers.get('etag') ?? ''
    const size = bytes.length
    assert.deepEqual(
      [whole.status, whole.headers.get('content-length'), whole.headers.get('accept-ranges')],
      [200, String(size), 'bytes'],
    )
    assert.deepEqual([whole.headers.get('content-type'), bytes.toString('latin1', 4, 8)], ['video/mp4', 'ftyp'])
    for (const [name, headers, status, contentRange, start, end] of [
      ['the first bytes', { range: 'bytes=0-9' }, 206, `bytes 0-9/${size}`, 0, 10],
      ['from the middle on', { range: 'bytes=100-' }, 206, `bytes 100-${size - 1}/${size}`, 100, size],
      ['the last bytes', { range: 'bytes=-5' }, 206, `bytes ${size - 5}-${size - 1}/${size}`, size - 5, size],
      ['more than there is', { range: `bytes=10-${size + 5}` }, 206, `bytes 10-${size - 1}/${size}`, 10, size],
      ['what is not understood', { range: 'lines=1-2' }, 200, null, 0, size],
      ['two ranges', { range: 'bytes=0-1,3-4' }, 200, null, 0, size],
      ['of the same version', { range: 'bytes=1-2', 'if-range': etag }, 206, `bytes 1-2/${size}`, 1, 3],
      ['of another version', { range: 'bytes=1-2', 'if-range': '"other"' }, 200, null, 0, size],
      ['when another version is known', { 'if-none-match': '"other"' }, 200, null, 0, size],
    ] as const) {
      await t.test(`${path}: ${name}`, async () => {
        const response = await api.fetch(path, { headers })
        assert.deepEqual([response.status, response.headers.get('content-range')], [status, contentRange])
        assert.equal(response.headers.get('content-length'), String(end - start))
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes.subarray(start, end))
      })
    }
    const behind = await api.fetch(path, { headers: { range: `bytes=${size}-` } })
    assert.deepEqual([behind.status, behind.headers.get('content-range')], [416, `bytes */${size}`])
    assert.equal(Value.Parse(errorBodySchema, await behind.json()).code, 'RANGE_NOT_SATISFIABLE')
    const known = await api.fetch(path, { headers: { 'if-none-match': `"x", W/${etag}` } })
    assert.deepEqual([known.status, await known.text()], [304, ''])
    const head = await api.fetch(path, { method: 'HEAD', headers: { range: 'bytes=0-9' } })
    assert.deepEqual([head.status, head.headers.get('content-length')], [206, '10'])
  }
  const download = await api.fetch('/api/v1/streams/site%2Fgate/export.mp4', { method: 'HEAD' })
  assert.match(download.headers.get('content-disposition') ?? '', /^attachment; filename="site-gate-2026-01-31T13-05-\S+\.mp4"$/)
})

/** 1 GB of zeros that says how much of it was read and whether it was closed. */
function endlessMedia() {
  const seen = { readBytes: 0, isClosed: false }
  const media: Media & { fileName: string } = {
    sizeBytes: 1e9,
    etag: 'endless',
    fileName: 'endless.mp4',
    async *read({ start, end }) {
      const chunk = Buffer.alloc(64 * 1024)
      for (let at = start; at < end; at += chunk.length) {
        seen.readBytes += chunk.length
        yield chunk.subarray(0, end - at)
      }
    },
    [Symbol.asyncDispose]: async () => {
      seen.isClosed = true
    },
  }
  return { seen, media }
}

test('media is read only as fast as the client takes it, and let go when the client leaves', async () => {
  const { seen, media } = endlessMedia()
  const playback = {
    timeline: async () => [],
    playlist: async () => '',
    openMedia: async () => media,
    openExport: async () => media,
  }
  await using api = await startApi({ live: { playback } })
  const abort = new AbortController()
  const response = await api.fetch('/api/v1/recordings/x/media.mp4', { signal: abort.signal })
  const reader = response.body?.getReader() ?? assert.fail('no body')
  await reader.read()
  let before = -1
  await until(() => {
    const isSteady = before === seen.readBytes
    before = seen.readBytes
    return isSteady
  })
  assert.ok(seen.readBytes < 50e6, `${seen.readBytes} bytes read for a client that stopped`)
  abort.abort()
  await until(() => seen.isClosed, { what: 'media closed' })
})

test('a file that breaks while it is sent ends the connection instead of pretending to be whole', async () => {
  const { seen, media } = endlessMedia()
  const broken: typeof media = {
    ...media,
    async *read() {
      yield Buffer.alloc(1000)
      throw new AppError('TRUNCATED', 'the file ends early')
    },
  }
  const playback = {
    timeline: async () => [],
    playlist: async () => '',
    openMedia: async () => broken,
    openExport: async () => broken,
  }
  await using api = await startApi({ live: { playback } })
  await assert.rejects(async () => (await api.fetch('/api/v1/recordings/x/media.mp4')).arrayBuffer())
  await until(() => seen.isClosed, { what: 'media closed' })
})
