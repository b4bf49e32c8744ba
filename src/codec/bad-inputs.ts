import { AppError } from '#lib/errors.ts'

/** An input that is not what it should be: the track's name, and its place among the track's inputs. */
export type BadInputs = readonly { readonly track: string; readonly input: number }[]

/** The inputs that an error of packaging names; none where it is not their fault. */
export function badInputsOf(error: unknown): BadInputs {
  const inputs: unknown = error instanceof AppError ? error.details?.['inputs'] : undefined
  return isBadInputs(inputs) ? inputs : []
}

function isBadInputs(value: unknown): value is BadInputs {
  return Array.isArray(value) && value.every(isBadInput)
}

function isBadInput(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('track' in value) || !('input' in value)) return false
  return typeof value.track === 'string' && typeof value.input === 'number' && Number.isInteger(value.input) && value.input >= 0
}
