import { isUtf8 } from 'node:buffer'
import type { NewRecord, RecordHeader } from '#formats/kafka/records.ts'
import { AppError } from '#lib/errors.ts'
import type { RequestIssue } from './contract.ts'
import { parseTimestampMs } from './record-place.ts'

/** A record as it was sent, and the partition that it names. */
export type ProducedRecord = NewRecord & { readonly partition: number | undefined }

/** Issues named in one answer. */
const maxIssues = 20
const noHeaders: readonly RecordHeader[] = []

/**
 * Records in JSON that was sent. What is wrong is gathered, a line for each place: `<prefix>.<index>.value`. Checked by hand: a schema check of each
 * record would be most of the work of producing (5 µs in place of 0.5).
 */
export class RecordReader {
  readonly #prefix: string
  readonly #nowMs: number
  readonly #issues: RequestIssue[] = []
  #issueCount = 0
  #index = 0

  /** `nowMs` is the time of records that have none. */
  constructor({ prefix, nowMs }: { prefix: string; nowMs: number }) {
    this.#prefix = prefix
    this.#nowMs = nowMs
  }

  /** `REQUEST_INVALID` with everything that was wrong so far; undefined while all is well. */
  get fault(): AppError | undefined {
    const [first] = this.#issues
    if (!first) return undefined
    const rest = this.#issueCount > 1 ? ` (and ${this.#issueCount - 1} more, see details.issues)` : ''
    return new AppError('REQUEST_INVALID', `${first.path} ${first.message}${rest}`, { details: { issues: this.#issues } })
  }

  /** Anything may come back for a record that is wrong: look at `fault` before it is used. */
  read(input: unknown, index: number): ProducedRecord {
    this.#index = index
    let isTombstone = false
    let key: Buffer | null = null
    let value: Buffer | null = null
    let headers = noHeaders
    let partition: number | undefined
    let timestampMs = this.#nowMs
    if (!isTable(input)) this.#report('', 'must be an object')
    else {
      for (const name in input) {
        const item = input[name]
        if (name === 'value') {
          value = this.#bytes(item, name)
          isTombstone = value === null
        } else if (name === 'key') key = this.#bytes(item, name)
        else if (name === 'headers') headers = this.#headers(item)
        else if (name === 'partition') partition = this.#partition(item)
        else if (name === 'timestamp') timestampMs = this.#timestampMs(item)
        else this.#report(`.${name}`, 'is not a known field')
      }
      if (value === null && !isTombstone) this.#report('.value', 'is required; null makes a tombstone')
    }
    return { key, value, headers, timestampMs, partition }
  }

  #report(place: string, message: string): void {
    this.#issueCount += 1
    if (this.#issueCount <= maxIssues) this.#issues.push({ path: `${this.#prefix}.${this.#index}${place}`, message })
  }

  #bytes(item: unknown, place: string): Buffer | null {
    if (item === null) return null
    if (typeof item === 'string') {
      if (!item.isWellFormed()) this.#report(`.${place}`, 'is no Unicode text: it has half a surrogate pair')
      return Buffer.from(item)
    }
    if (!isTable(item) || !isBase64Table(item)) return Buffer.from(JSON.stringify(item))
    const bytes = fromBase64(item['base64'])
    if (!bytes) this.#report(`.${place}.base64`, 'is not valid base64')
    return bytes ?? Buffer.alloc(0)
  }

  #headers(item: unknown): readonly RecordHeader[] {
    if (Array.isArray(item)) return item.map((header: unknown, at) => this.#header(header, at))
    this.#report('.headers', 'must be an array of { key, value }')
    return noHeaders
  }

  #header(item: unknown, at: number): RecordHeader {
    if (isTable(item) && Object.keys(item).every((name) => name === 'key' || name === 'value')) {
      const { key, value = null } = item
      if (typeof key === 'string' && key.isWellFormed()) return { key, value: this.#bytes(value, `headers.${at}.value`) }
    }
    this.#report(`.headers.${at}`, 'must be { key, value } with text as key')
    return { key: '', value: null }
  }

  #partition(item: unknown): number {
    if (typeof item === 'number' && Number.isInteger(item) && item >= 0) return item
    this.#report('.partition', 'must be a whole number from 0')
    return 0
  }

  #timestampMs(item: unknown): number {
    const timestampMs = parseTimestampMs(item)
    if (timestampMs === undefined) this.#report('.timestamp', 'must be a time such as 2026-01-31T12:00:00Z, or milliseconds')
    return timestampMs ?? 0
  }
}

/**
 * JSON as it came. Throws `REQUEST_INVALID` for what is none, and for whole numbers beyond 2^53: what is stored is to be what was sent. `what` is for the
 * message: `body`.
 */
export function parseJsonBytes(bytes: Buffer, what: string): unknown {
  if (!isUtf8(bytes)) throw new AppError('REQUEST_INVALID', `${what} is not UTF-8`)
  const text = bytes.toString()
  try {
    // Looking at each number takes several times as long, and hardly any text has one of 16 digits.
    return /\d{16}/.test(text) ? JSON.parse(text, checkNumber) : JSON.parse(text)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('REQUEST_INVALID', `${what} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function checkNumber(_: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source ?? ''
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^-?\d+$/.test(source)) return value
  throw new AppError('REQUEST_INVALID', `number ${source} has more digits than JSON keeps for sure; send it as text`)
}

function isBase64Table(table: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(table, 'base64') && Object.keys(table).length === 1
}

/** Undefined: it is none. */
function fromBase64(text: unknown): Buffer | undefined {
  const isValid = typeof text === 'string' && text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
  return isValid ? Buffer.from(text, 'base64') : undefined
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
