import { AppError, type ErrorCode } from '#lib/errors.ts'

/** An input that is not what it should be, by the track's name and its place among the track's inputs. */
export type InputPlace = { readonly track: string; readonly input: number }

/** An error that names the input it comes from, also in `details.inputs`. */
export function inputError(code: ErrorCode, { track, input }: InputPlace, what: string, cause?: unknown): AppError {
  return new AppError(code, `input ${input} of track "${track}": ${what}`, { cause, details: { inputs: [{ track, input }] } })
}

/** `ENCODE_DAMAGED` for a track that cannot be published. */
export function trackError(track: string, what: string): AppError {
  return new AppError('ENCODE_DAMAGED', `track "${track}": ${what}; nothing was published`)
}
