/** What a `Range` header asks of a file: all of it, a stretch, or one that the file does not have. */
export type RangeAnswer = { kind: 'whole' } | { kind: 'part'; start: number; end: number } | { kind: 'unsatisfiable' }

/** A single byte range, RFC 9110 §14.1.2; `end` is the byte after the last. Several ranges and other units give the whole file, as they may. */
export function parseRange(header: string | undefined, sizeBytes: number): RangeAnswer {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return { kind: 'whole' }
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < start) return { kind: 'whole' }
  return start < end ? { kind: 'part', start, end } : { kind: 'unsatisfiable' }
}

/** The bytes from `start` up to `end` of consecutive buffers, as views. */
export function sliceChunks(chunks: readonly Buffer[], start: number, end: number): Buffer[] {
  const views: Buffer[] = []
  let at = 0
  for (const chunk of chunks) {
    const from = Math.max(start - at, 0)
    const to = Math.min(end - at, chunk.length)
    if (from < to) views.push(chunk.subarray(from, to))
    at += chunk.length
  }
  return views
}
