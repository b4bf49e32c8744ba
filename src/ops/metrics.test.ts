import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics, type StreamFigures } from './metrics.ts'

const health = {
  bitrateKbps: 1500,
  framesPerSecond: 25,
  keyframeIntervalMs: 2000,
  receivedUnits: 250,
  receivedBytes: 1_000_000,
  lostPackets: 3,
  timestampJumps: 1,
  outages: 2,
  reconnects: 4,
  droppedUnits: 5,
}
const gate: StreamFigures = {
  name: 'site/gate',
  state: 'online',
  health: { ...health, lastUnitAgeMs: 40 },
  recording: { state: 'recording' },
}
const lobby: StreamFigures = { name: 'a"b\\c', state: 'offline', health, recording: { state: 'off' } }

function allSources() {
  return {
    streams: {
      list: () => [gate, lobby],
      readers: (stream: string) =>
        stream === 'site/gate' ? [{ protocol: 'rtsp' }, { protocol: 'hls' }, { protocol: 'rtsp' }] : [],
    },
    storage: {
      usage: async () => [{ stream: 'site/gate', sizeBytes: 5000, segmentCount: 2, waitingCount: 1, waitingMs: 90_000 }],
      findDiskSpace: async () => ({ totalBytes: 1000, freeBytes: 400 }),
      archiveFailures: 3,
    },
    rtsp: { connectionCount: () => 7 },
  }
}

/** The samples of a scrape, by their line up to the value. Fails for a line that is not Prometheus' text format. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  const typed = new Set<string>()
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const comment = /^# (HELP|TYPE) (\w+) .+$/.exec(line)
    if (comment) {
      typed.add(`${comment[1]} ${comment[2]}`)
      continue
    }
    const [, key = '', name = '', value = ''] =
      /^((\w+)(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? assert.fail(line)
    const base = name.replace(/_(bucket|sum|count)$/, '')
    assert.ok(
      [name, base].some((one) => typed.has(`HELP ${one}`) && typed.has(`TYPE ${one}`)),
      `${name} has HELP and TYPE`,
    )
    assert.ok(!samples.has(key), `${key} is told once`)
    samples.set(key, value === 'Nan' ? Number.NaN : Number(value))
  }
  return samples
}

test('a scrape has the figures of streams, recordings, connections and the process', async () => {
  const metrics = new Metrics({ version: '1.2.3' })
  metrics.attach(allSources())
  const samples = parse(await metrics.text())
  for (const [key, value] of [
    ['millrace_info{version="1.2.3"}', 1],
    ['millrace_stream_online{stream="site/gate"}', 1],
    ['millrace_stream_online{stream="a\\"b\\\\c"}', 0],
    ['millrace_stream_bitrate_bits_per_second{stream="site/gate"}', 1_500_000],
    ['millrace_stream_keyframe_interval_seconds{stream="site/gate"}', 2],
    ['millrace_stream_last_unit_age_seconds{stream="site/gate"}', 0.04],
    ['millrace_stream_lost_packets_total{stream="site/gate"}', 3],
    ['millrace_stream_dropped_units_total{stream="site/gate"}', 5],
    ['millrace_stream_readers{stream="site/gate",protocol="rtsp"}', 2],
    ['millrace_streams{state="online"}', 1],
    ['millrace_recording_bytes{stream="site/gate"}', 5000],
    ['millrace_recording_segments{stream="site/gate"}', 2],
    ['millrace_recording_state{stream="site/gate",state="recording"}', 1],
    ['millrace_recording_state{stream="site/gate",state="failed"}', 0],
    ['millrace_recording_disk_free_bytes', 400],
    ['millrace_recording_archive_waiting_segments{stream="site/gate"}', 1],
    ['millrace_recording_archive_waiting_seconds{stream="site/gate"}', 90],
    ['millrace_recording_archive_failures_total', 3],
    ['millrace_rtsp_connections', 7],
  ] as const) {
    assert.equal(samples.get(key), value, key)
  }
  assert.ok(!samples.has('millrace_stream_last_unit_age_seconds{stream="a\\"b\\\\c"}'), 'what is not known is not told')
  assert.ok(samples.has('nodejs_eventloop_lag_p99_seconds') && samples.has('process_resident_memory_bytes'))
})

test('a scrape tells the present: a stream that is gone leaves nothing behind, and counters do not add up', async () => {
  const metrics = new Metrics({ version: '' })
  let streams = [gate]
  metrics.attach({ streams: { list: () => streams, readers: () => [] } })
  await metrics.text()
  assert.equal(parse(await metrics.text()).get('millrace_stream_outages_total{stream="site/gate"}'), 2)
  streams = []
  assert.ok(!(await metrics.text()).includes('site/gate'))
})

test('a source that fails or is absent costs only its own figures', async () => {
  const metrics = new Metrics({ version: '' })
  const away = () => Promise.reject(new Error('database away'))
  metrics.attach({ ...allSources(), storage: { usage: away, findDiskSpace: away, archiveFailures: 0 } })
  const samples = parse(await metrics.text())
  assert.ok(samples.has('millrace_stream_online{stream="site/gate"}') && !samples.has('millrace_recording_disk_free_bytes'))
  assert.ok(!parse(await new Metrics({ version: '' }).text()).has('millrace_rtsp_connections'))
})

test('requests, and what is deleted and archived, are counted', async () => {
  const metrics = new Metrics({ version: '' })
  metrics.observe({ method: 'GET', route: '/api/v1/streams', status: 200, seconds: 0.03 })
  metrics.observe({ method: 'GET', route: '/hls/*', status: 200 })
  metrics.countLimited()
  metrics.countDeleted({ reason: 'age', sizeBytes: 100 })
  metrics.countDeleted({ reason: 'age', sizeBytes: 50 })
  metrics.countArchived({ sizeBytes: 70 })
  const samples = parse(await metrics.text())
  assert.equal(samples.get('millrace_http_requests_total{method="GET",route="/hls/*",status="200"}'), 1)
  assert.equal(samples.get('millrace_http_request_duration_seconds_count{method="GET",route="/api/v1/streams"}'), 1)
  assert.ok(!samples.has('millrace_http_request_duration_seconds_count{method="GET",route="/hls/*"}'))
  assert.equal(samples.get('millrace_http_requests_limited_total'), 1)
  assert.equal(samples.get('millrace_recording_deleted_total{reason="age"}'), 2)
  assert.equal(samples.get('millrace_recording_deleted_bytes_total{reason="age"}'), 150)
  assert.equal(samples.get('millrace_recording_archived_total'), 1)
  assert.equal(samples.get('millrace_recording_archived_bytes_total'), 70)
})

test('what a part keeps of itself is on the page until it ends', async () => {
  const metrics = new Metrics({ version: '' })
  const page = { text: async () => '# HELP one Of a part.\n# TYPE one gauge\none 1\n' }
  using included = metrics.include(page)
  assert.equal(parse(await metrics.text()).get('one'), 1)
  included[Symbol.dispose]()
  assert.ok(!parse(await metrics.text()).has('one'))
})
