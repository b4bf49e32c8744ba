import { errorTable, type ErrorCode } from '#lib/errors.ts'
import type { Failure } from '../job-store.ts'

type FailureKind = Failure['kind']

/**
 * What follows from the code of a failure. What is not listed is tried again: a fault that nobody foresaw may be of the machine, and the number of
 * attempts is bounded.
 */
const kinds: Partial<Record<ErrorCode, FailureKind>> = {
  // The same input fails in the same way on any machine.
  UNSUPPORTED: 'terminal',
  MALFORMED: 'terminal',
  TRUNCATED: 'terminal',
  LIMIT_EXCEEDED: 'terminal',
  REQUEST_INVALID: 'terminal',
  CODEC_UNSUPPORTED: 'terminal',
  ENCODE_DAMAGED: 'terminal',
  SCENARIO_NOT_FOUND: 'terminal',
  SCENARIO_INVALID: 'terminal',
  // The source is not there, or not for us.
  SOURCE_REFUSED: 'terminal',
  RECORDING_NOT_FOUND: 'terminal',
  OBJECT_NOT_FOUND: 'terminal',
  OBJECT_KEY_INVALID: 'terminal',
  STREAM_NOT_FOUND: 'terminal',
  STREAM_NOT_PUBLISHABLE: 'terminal',
  STREAM_STOPPED: 'terminal',

  INPUT_DAMAGED: 'input',

  SHUTTING_DOWN: 'released',
  TASK_FENCED: 'released',
}

/**
 * How a failure counts, by its code. A worker that names damaged inputs has found them so, whatever it calls that; without names there is nothing to make
 * again, and `INPUT_DAMAGED` is tried again as it is.
 */
export function failureKindOf(code: ErrorCode, { hasBadInputs }: { readonly hasBadInputs: boolean }): FailureKind {
  if (hasBadInputs) return 'input'
  const kind = kinds[code] ?? 'transient'
  return kind === 'input' ? 'transient' : kind
}

/** The code that a worker wrote; one that this version does not know is `INTERNAL`. */
export function parseErrorCode(text: string): ErrorCode {
  return isErrorCode(text) ? text : 'INTERNAL'
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text)
}
