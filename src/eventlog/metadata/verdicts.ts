import { AppError } from '#lib/errors.ts'
import type { RunVerdict } from './log-metadata.ts'

const letters = { committed: 'c', fenced: 'f', gap: 'g' } as const satisfies Record<RunVerdict, string>
const verdictOf: ReadonlyMap<string, RunVerdict> = new Map([
  ['c', 'committed'],
  ['f', 'fenced'],
  ['g', 'gap'],
])

/** Of a commit at most: an object has far fewer runs. */
const maxVerdicts = 1_000_000

/** Run-length coded: `4998c1g1f`. */
export function formatVerdicts(verdicts: readonly RunVerdict[]): string {
  let text = ''
  for (let from = 0; from < verdicts.length;) {
    const verdict = verdicts[from]
    let to = from + 1
    while (to < verdicts.length && verdicts[to] === verdict) to += 1
    text += `${to - from}${verdict === undefined ? '' : letters[verdict]}`
    from = to
  }
  return text
}

/** Throws `LOG_DAMAGED` for what `formatVerdicts` does not write. */
export function parseVerdicts(text: string): RunVerdict[] {
  const verdicts: RunVerdict[] = []
  let length = 0
  for (const [part, digits, letter = ''] of text.matchAll(/(\d{1,7})([cfg])/g)) {
    const verdict = verdictOf.get(letter)
    const end = verdicts.length + Number(digits)
    if (verdict === undefined || end > maxVerdicts) throw malformed(text)
    while (verdicts.length < end) verdicts.push(verdict)
    length += part.length
  }
  if (length !== text.length) throw malformed(text)
  return verdicts
}

function malformed(text: string): AppError {
  return new AppError(
    'LOG_DAMAGED',
    `the stored answer "${text.slice(0, 40)}" to a commit cannot be read; restore the database from a backup`,
  )
}
