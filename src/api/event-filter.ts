import { type EventRecord, truncatedType } from '#eventlog/event-log.ts'

/**
 * Which events a client wants: `type` is a list with commas where `stream.*` is all that begin with `stream.`; `subject` is exact. The note
 * that history is lost is for everyone.
 */
export function eventFilter({ type, subject }: { type?: string; subject?: string }): (record: EventRecord) => boolean {
  const wanted = type?.split(',').map((pattern) => pattern.trim())
  const isWanted = (name: string): boolean =>
    wanted === undefined ||
    wanted.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern))
  return (record) =>
    record.type === truncatedType || (isWanted(record.type) && (subject === undefined || record.subject === subject))
}
