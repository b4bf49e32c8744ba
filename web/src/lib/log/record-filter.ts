import type { TailRecord } from './tail-record.ts'

/** What records must have to be shown; case does not matter, and empty is anything. */
export type RecordFilter = {
  /** In value, key or headers. */
  readonly text: string
  readonly key: string
}

export function isFiltering({ text, key }: RecordFilter): boolean {
  return text.trim() !== '' || key.trim() !== ''
}

/** Whether a record is shown. Of binary values only what is text in them counts. */
export function matcherOf({ text, key }: RecordFilter): (record: TailRecord) => boolean {
  const [wanted, wantedKey] = [text.trim().toLowerCase(), key.trim().toLowerCase()]
  const has = (part: TailRecord['key'], searched: string): boolean =>
    part.kind === 'text' && part.text.toLowerCase().includes(searched)
  return (record) => {
    if (wantedKey !== '' && !has(record.key, wantedKey)) return false
    if (wanted === '' || has(record.value, wanted) || has(record.key, wanted)) return true
    return record.headers.some((header) => header.key.toLowerCase().includes(wanted) || has(header.value, wanted))
  }
}
