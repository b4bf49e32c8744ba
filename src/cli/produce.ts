import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { Type } from 'typebox'
import { topicParamsSchema, type Produced, type ProducedOffsets } from '#api/log-contract.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { apiOptions } from './api-options.ts'
import { isAbort, openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { readInputLines, type InputLine } from './input-lines.ts'
import { LogClient } from './log-client.ts'
import { ProgressLine } from './progress-line.ts'
import type { Terminal } from './terminal.ts'

/** What goes into one request. */
const maxRecords = 5000
const maxLength = 1_048_576

export const produce = defineCommand({
  name: 'produce',
  summary: 'Write lines to a topic, a record each',
  details:
    'Lines come from standard input, or from --file, and keep their order within each partition. With --json a line is a record as `millrace consume --json` prints it: key, value, headers, timestamp; its partition and offset do not count.',
  arguments: Type.Object({ topic: topicParamsSchema.properties.name }),
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Lines are records in JSON, and so is the result' }),
    file: Type.Optional(
      Type.String({ minLength: 1, placeholder: 'path', description: 'Read this file in place of standard input' }),
    ),
    keySeparator: Type.Optional(
      Type.String({ short: 'K', minLength: 1, placeholder: 'text', description: 'What comes before it in a line is the key' }),
    ),
    partition: Type.Optional(
      Type.Integer({ short: 'p', minimum: 0, placeholder: 'number', description: 'Write to this one; otherwise by the key' }),
    ),
    ack: Type.Optional(
      Type.Enum(['none', 'wal', 'object'], {
        description: 'Wait for nothing, the disk, or the object store; otherwise as the topic says',
      }),
    ),
  }),
  async run({ arguments: { topic }, options, terminal, environment, clock, signal }) {
    const { file, json, keySeparator, partition, ack } = options
    if (json && keySeparator !== undefined) throw new AppError('USAGE', '--json and --key-separator exclude each other')
    const client = new LogClient(openClient(options, environment))
    const { input, totalBytes } = await openInput(file)
    if (file === undefined && process.stdin.isTTY) terminal.writeError('Type records, one a line; Ctrl+D ends.\n')
    const query = { ...(partition === undefined ? {} : { partition }), ...(ack === undefined ? {} : { ack }) }
    const progress = new ProgressLine({ terminal, clock })
    const written = new Written(topic)
    try {
      for await (const { lines, doneBytes } of readInputLines(input, signal)) {
        const records = lines
          .map((line) => (json ? parseRecord(line) : splitRecord(line, keySeparator)))
          .filter((one) => one !== undefined)
        for (const part of parts(records)) written.add(await client.produce(topic, part, query))
        progress.update(doneBytes, totalBytes)
      }
    } catch (error) {
      progress.clear()
      if (isAbort(error)) terminal.writeError(`${written.describe()}; interrupted\n`)
      throw isAbort(error) || written.count === 0 ? error : afterSome(error, written)
    }
    progress.clear()
    writeResult({ terminal, json, written })
  },
})

/** The offsets of all that was written so far. */
class Written {
  readonly #topic: string
  readonly #offsets = new Map<number, ProducedOffsets>()

  constructor(topic: string) {
    this.#topic = topic
  }

  get count(): number {
    return [...this.#offsets.values()].reduce((sum, { count }) => sum + count, 0)
  }

  add({ offsets }: Produced): void {
    for (const { partition, baseOffset, lastOffset, count } of offsets) {
      const before = this.#offsets.get(partition) ?? { baseOffset, count: 0 }
      this.#offsets.set(partition, { partition, baseOffset: before.baseOffset, lastOffset, count: before.count + count })
    }
  }

  describe(): string {
    const places = this.toJson().offsets.map(
      ({ partition, baseOffset, lastOffset }) => `${partition}: ${baseOffset} to ${lastOffset}`,
    )
    const where = places.length > 8 ? `${places.length} partitions` : `partition ${places.join(', ')}`
    const count = `${this.count} ${this.count === 1 ? 'record' : 'records'}`
    return places.length === 0 ? `Nothing written to ${this.#topic}` : `${count} written to ${this.#topic}, ${where}`
  }

  toJson(): { topic: string; records: number; offsets: ProducedOffsets[] } {
    const offsets = [...this.#offsets.values()].toSorted((a, b) => a.partition - b.partition)
    return { topic: this.#topic, records: this.count, offsets }
  }
}

function writeResult({ terminal, json, written }: { terminal: Terminal; json: boolean; written: Written }): void {
  terminal.write(json ? `${JSON.stringify(written.toJson())}\n` : `${written.describe()}\n`)
}

async function openInput(file: string | undefined): Promise<{ input: Readable; totalBytes: number | undefined }> {
  if (file === undefined) return { input: process.stdin, totalBytes: undefined }
  try {
    return { totalBytes: (await stat(file)).size, input: createReadStream(file, { highWaterMark: maxLength }) }
  } catch (cause) {
    throw new AppError('USAGE', `${file} cannot be read: ${toAppError(cause).message}`, { cause })
  }
}

type LineRecord = Readonly<Record<string, unknown>>

/** Undefined for an empty line. */
function parseRecord({ number, text }: InputLine): LineRecord | undefined {
  if (text.trim() === '') return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('MALFORMED', `line ${number} is not valid JSON: ${toAppError(cause).message}`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('MALFORMED', `line ${number} is no record; write for example {"key":"a","value":"text"}`)
  }
  const { partition: _, offset: __, ...record }: LineRecord = { ...value }
  return record
}

function splitRecord({ number, text }: InputLine, separator: string | undefined): LineRecord {
  if (separator === undefined) return { value: text }
  const at = text.indexOf(separator)
  if (at < 0) throw new AppError('MALFORMED', `line ${number} has no "${separator}" between key and value`)
  return { key: text.slice(0, at), value: text.slice(at + separator.length) }
}

/** Records in groups that one request can take. */
function* parts(records: readonly LineRecord[]): Generator<LineRecord[], void, undefined> {
  let part: LineRecord[] = []
  let length = 0
  for (const record of records) {
    const recordLength = JSON.stringify(record).length
    if (part.length > 0 && (part.length === maxRecords || length + recordLength > maxLength)) {
      yield part
      part = []
      length = 0
    }
    part.push(record)
    length += recordLength
  }
  if (part.length > 0) yield part
}

function afterSome(thrown: unknown, written: Written): AppError {
  const { code, message, cause } = toAppError(thrown)
  return new AppError(code, `${message}\n${written.describe()} before`, { cause })
}
