import type { LogRecord, NewRecord } from '#formats/kafka/records.ts'
import type { EventInput, EventRecord } from '../event-log.ts'

/** An event as a record: the subject is the key, the value is a CloudEvent in JSON (CloudEvents 1.0, structured mode). */
export function toRecord(event: EventInput, { id, source, nowMs }: { id: string; source: string; nowMs: number }): NewRecord {
  const { type, subject, data } = event
  const time = new Date(nowMs).toISOString()
  const value = { specversion: '1.0', id, source, type, subject, time, datacontenttype: 'application/json', data }
  return { key: Buffer.from(subject), value: Buffer.from(JSON.stringify(value)), headers: contentType, timestampMs: nowMs }
}

/** The event of a record; undefined for one that is none. */
export function fromRecord({ offset, value }: LogRecord): EventRecord | undefined {
  if (value === null) return undefined
  const event = parseJson(value)
  if (!isTable(event)) return undefined
  const { type, subject, time, data } = event
  if (typeof type !== 'string' || typeof subject !== 'string' || typeof time !== 'string' || !isTable(data)) return undefined
  return { sequence: offset, at: time, type, subject, data }
}

const contentType = [{ key: 'content-type', value: Buffer.from('application/cloudevents+json') }]

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
