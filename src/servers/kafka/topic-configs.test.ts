import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isListConfig, parseTopicConfig, parseWholeTopicConfig, showTopicConfig } from './topic-configs.ts'

const accepted: [name: string, value: string | null, expected: object][] = [
  ['retention.ms', '86400000', { retentionMs: 86_400_000 }],
  ['retention.ms', '-1', { retentionMs: -1 }],
  ['retention.ms', '9223372036854775807', { retentionMs: -1 }],
  ['retention.ms', null, { retentionMs: 604_800_000 }],
  ['retention.bytes', ' 1000 ', { retentionBytes: 1000 }],
  ['max.message.bytes', '2000000', { maxMessageBytes: 2_000_000 }],
  ['message.timestamp.type', 'LogAppendTime', { timestampType: 'LogAppendTime' }],
  ['millrace.durability', 'object', { durability: 'object' }],
  ['cleanup.policy', 'delete', {}],
  ['cleanup.policy', null, {}],
  ['min.insync.replicas', '1', {}],
  ['segment.bytes', '1073741824', {}],
]
for (const [name, value, expected] of accepted) {
  test(`${name}=${value} is accepted`, () => assert.deepEqual(parseTopicConfig([{ name, value }]), expected))
}

const refused: [name: string, value: string, message: RegExp][] = [
  ['cleanup.policy', 'compact', /^cleanup\.policy=compact is not possible: .*only delete/],
  ['cleanup.policy', 'compact,delete', /not possible/],
  ['min.insync.replicas', '2', /millrace\.durability/],
  ['segment.bytes', '100', /leave it out, or set it to "1073741824"$/],
  ['retention.ms', 'a week', /not a whole number/],
  ['message.timestamp.type', 'Never', /CreateTime or LogAppendTime/],
  ['retention.hours', '1', /there is no topic setting "retention.hours"/],
  ['toString', '1', /there is no topic setting/],
  ['__proto__', '1', /there is no topic setting/],
]
for (const [name, value, message] of refused) {
  test(`${name}=${value} is refused`, () =>
    assert.throws(() => parseTopicConfig([{ name, value }]), { code: 'TOPIC_INVALID', message }))
}

test('what is not said is at its default', () => {
  const config = parseWholeTopicConfig([{ name: 'retention.ms', value: '1000' }])
  assert.deepEqual([config.retentionMs, config.maxMessageBytes, config.durability], [1000, 1_048_588, 'wal'])
})

test('what is shown can be set again, and says what is not the default', () => {
  const config = parseWholeTopicConfig([{ name: 'retention.ms', value: '1000' }])
  const shown = showTopicConfig(config)
  assert.deepEqual(parseWholeTopicConfig(shown), config)
  assert.deepEqual(
    shown.filter(({ isDefault }) => !isDefault).map(({ name, value }) => [name, value]),
    [['retention.ms', '1000']],
  )
  assert.ok(shown.every(({ documentation }) => documentation.length > 10))
})

test('lists are known', () => assert.deepEqual(['cleanup.policy', 'retention.ms', 'x'].map(isListConfig), [true, false, false]))
