import { isUtf8 } from 'node:buffer'
import type { ReadMark, RecordsPage, PartitionedRecord } from './records-read.ts'

/** `json`: values whose text is JSON come as JSON. */
export type ValueForm = 'text' | 'json'

/** The last time that can be written as ISO 8601 with a year of four digits. */
const maxTimestampMs = 253_402_300_799_999
const lineEnds = /[\r\n]+/g

/** A record as JSON on one line. Written by hand, so that values which are JSON keep every digit. */
export function recordText({ partition, offset, timestampMs, key, value, headers }: PartitionedRecord, form: ValueForm): string {
  const isTime = timestampMs >= 0 && timestampMs <= maxTimestampMs
  const timestamp = isTime ? `"timestamp":"${new Date(timestampMs).toISOString()}",` : ''
  const valueJson = form === 'json' && value ? valueText(value) : bytesText(value)
  const headersJson = headers
    .map((header) => `{"key":${JSON.stringify(header.key)},"value":${bytesText(header.value)}}`)
    .join(',')
  return `{"partition":${partition},"offset":${offset},${timestamp}"key":${bytesText(key)},"value":${valueJson},"headers":[${headersJson}]}`
}

/** A whole answer as JSON. */
export function pageText({ records, marks }: RecordsPage, { nextCursor, form }: { nextCursor: string; form: ValueForm }): string {
  const texts = records.map((record) => recordText(record, form)).join(',')
  return `{"records":[${texts}],"nextCursor":${JSON.stringify(nextCursor)},"partitions":${JSON.stringify(inOrder(marks))}}`
}

function inOrder(marks: readonly ReadMark[]): ReadMark[] {
  return marks.toSorted((a, b) => a.partition - b.partition)
}

function bytesText(bytes: Buffer | null): string {
  if (bytes === null) return 'null'
  return isUtf8(bytes) ? JSON.stringify(bytes.toString()) : `{"base64":"${bytes.toString('base64')}"}`
}

function valueText(bytes: Buffer): string {
  if (!isUtf8(bytes)) return bytesText(bytes)
  const text = bytes.toString()
  // Between tokens a space is as good as a line end, and inside them there is none.
  return isJson(text) ? text.replaceAll(lineEnds, ' ') : JSON.stringify(text)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
