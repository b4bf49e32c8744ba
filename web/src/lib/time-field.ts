/** A moment as a `datetime-local` field has it, to the second, in the viewer's time zone. */
export function localTime(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

/** The moment in such a field; undefined when it is not filled in, or before 1970. */
export function timeOfField(text: string): Date | undefined {
  const date = new Date(text)
  return date.getTime() >= 0 ? date : undefined
}
