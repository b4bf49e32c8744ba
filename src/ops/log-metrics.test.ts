import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics } from './metrics.ts'

const figures = {
  wal: { entryCount: 12, sizeBytes: 4096, segmentCount: 1, syncCount: 99, isFailed: false },
  committer: { objectCount: 3, committedBytes: 5000, waitingObjects: 1 },
  coldReads: { hits: 8, misses: 2, loadedBytes: 2_097_152 },
  waitingBatches: 12,
  waitingMemoryBytes: 700,
  cacheBytes: 300,
}
const orders = {
  name: 'orders',
  partitionCount: 2,
  keptRecords: 40,
  sizeBytes: 5000,
  appended: { records: 50, bytes: 6000 },
  fetched: { records: 20, bytes: 2400 },
  refusingPartitions: 1,
}

function attached(): Metrics {
  const metrics = new Metrics({ version: '1' })
  metrics.log.attach({
    log: {
      topics: () => [orders],
      figures: () => figures,
      groups: () => [{ state: 'Stable' }, { state: 'Empty' }, { state: 'Stable' }],
      lags: async () => [{ group: 'billing', topic: 'orders', records: 7 }],
    },
    kafka: () => ({ connections: 4, requestsByApi: { produce: 9 }, errorsByCode: { '3': 1 } }),
    grpc: () => ({ connections: 2, callsByMethod: { Produce: 6 }, endedByStatus: { OK: 5 } }),
  })
  metrics.log.acknowledged('wal', 0.002, 1)
  metrics.log.refused('LOG_FULL')
  metrics.log.storeAnswered({ operation: 'put', result: 'ok', seconds: 0.2 })
  return metrics
}

for (const line of [
  'millrace_topic_produced_records_total{topic="orders"} 50',
  'millrace_topic_consumed_bytes_total{topic="orders"} 2400',
  'millrace_topic_refusing_partitions{topic="orders"} 1',
  'millrace_log_wal_entries 12',
  'millrace_log_wal_failed 0',
  'millrace_log_objects_committed_total 3',
  'millrace_log_groups{state="Stable"} 2',
  'millrace_group_lag_records{group="billing",topic="orders"} 7',
  'millrace_kafka_requests_total{api="produce"} 9',
  'millrace_kafka_connections 4',
  'millrace_grpc_calls_total{method="Produce"} 6',
  'millrace_grpc_connections 2',
  'millrace_log_refused_batches_total{code="LOG_FULL"} 1',
  '# TYPE millrace_log_ack_duration_seconds histogram',
  'millrace_log_ack_duration_seconds_bucket{le="0.001",ack="wal"} 0',
  'millrace_log_ack_duration_seconds_bucket{le="0.0025",ack="wal"} 1',
  'millrace_log_ack_duration_seconds_bucket{le="+Inf",ack="wal"} 1',
  'millrace_log_ack_duration_seconds_count{ack="wal"} 1',
  'millrace_object_store_request_duration_seconds_bucket{le="0.25",operation="put",result="ok"} 1',
]) {
  test(`a scrape tells ${line}`, async () => {
    assert.ok((await attached().text()).split('\n').includes(line))
  })
}

test('groups whose offsets cannot be had are left out', async () => {
  const metrics = attached()
  metrics.log.attach({
    log: {
      topics: () => [],
      figures: () => ({ ...figures, wal: undefined }),
      groups: () => [],
      lags: () => Promise.reject(new Error('the database is away')),
    },
    kafka: () => undefined,
    grpc: () => undefined,
  })
  const text = await metrics.text()
  assert.doesNotMatch(text, /^millrace_(group_lag_records|log_wal_entries|kafka_connections)[ {]/m)
  assert.match(text, /^millrace_log_objects_committed_total 3$/m)
})
