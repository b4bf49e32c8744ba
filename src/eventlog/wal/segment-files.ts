import { AppError } from '#lib/errors.ts'

const namePattern = /^(\d{16})\.(wal|damaged)$/

/** The file of a segment; damaged ones are told by their names, and are kept. */
export function segmentFileName(number: number, kind: 'wal' | 'damaged'): string {
  return `${String(number).padStart(16, '0')}.${kind}`
}

/** The segments among the names of files, in order. Throws `LOG_DAMAGED` when two files have one number. */
export function findSegments(
  names: readonly string[],
): { readonly name: string; readonly number: number; readonly isDamaged: boolean }[] {
  const found = names.flatMap((name) => {
    const [, number, kind] = namePattern.exec(name) ?? []
    return number === undefined ? [] : [{ name, number: Number(number), isDamaged: kind === 'damaged' }]
  })
  found.sort((a, b) => a.number - b.number)
  const twice = found.find(({ number }, index) => number === found[index - 1]?.number)
  if (twice)
    throw new AppError('LOG_DAMAGED', `the write-ahead log has two files with the number of ${twice.name}; move one of them away`)
  return found
}

/** Files without entries: being filled, or spare. */
export function isTemporary(name: string): boolean {
  return name.endsWith('.tmp')
}
