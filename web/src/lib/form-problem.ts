import { ApiError } from './api.ts'
import { messageOf } from './format.ts'

/** What is wrong with a form. */
export type FormProblem = {
  /** About all of it; empty when the fields say everything. */
  readonly message: string
  /** By the path of the field in the body that was sent: `config.retentionMs`. */
  readonly fields: Readonly<Record<string, string>>
}

export const noProblem: FormProblem = { message: '', fields: {} }

/** What was thrown, told where it belongs. `fieldByCode` says which field a code is about. */
export function formProblem(
  error: unknown,
  { known, fieldByCode = {} }: { known: readonly string[]; fieldByCode?: Readonly<Record<string, string>> },
): FormProblem {
  if (!(error instanceof ApiError)) return { message: messageOf(error), fields: {} }
  const field = fieldByCode[error.code]
  if (field !== undefined) return { message: '', fields: { [field]: sentence(error.message) } }
  const issues = error.issues.map(({ path, message }) => [path.replace(/^body\./, ''), message] as const)
  const isAllKnown = issues.length > 0 && issues.every(([path]) => known.includes(path))
  return {
    message: isAllKnown ? '' : sentence(error.message),
    fields: Object.fromEntries(issues.map(([path, message]) => [path, sentence(message)])),
  }
}

/** As a sentence of its own: `Must be an integer.` */
function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}
