import { Type } from 'typebox'
import { Check } from 'typebox/value'
import { AppError, toAppError } from '#lib/errors.ts'
import { withoutCredentials } from '#lib/log.ts'
import type { TaskId } from '../model.ts'
import type { FailMessage, InputFile } from '../worker-protocol.ts'
import type { SourceMount } from './source-proxy.ts'

const maxMessageLength = 4000
const anyUrl = /[a-z][a-z0-9+.-]*:\/\/\S+/gi

/** Why an attempt failed, as it is told to the API. */
export type FailureReport = Pick<FailMessage, 'code' | 'message' | 'badInputs'>

/**
 * What is to be told of a failure. An input that could not be read is the cause of whatever libav said afterwards. Files of other tasks that are missing, or
 * that a runner names in `details.badInputs`, are told by those tasks: they are done again.
 */
export function failureReportOf(thrown: unknown, inputs: readonly InputFile[], mount: SourceMount | undefined): FailureReport {
  const failures = mount?.failures ?? []
  const said = withDiskCode(toAppError(thrown))
  const named = namedTasks(said, inputs)
  const missing = failures.flatMap(({ input, error }) => taskOf(input, error))
  // Who names inputs says what is wrong with them.
  const error = named.length > 0 ? said : (failures[0]?.error ?? said)
  return reportOf(error, inputs, mount, [...named, ...missing])
}

function reportOf(
  { code, message }: AppError,
  inputs: readonly InputFile[],
  mount: SourceMount | undefined,
  badInputs: readonly TaskId[],
): FailureReport {
  const text = withNames(message, inputs, mount).replace(anyUrl, withoutCredentials).slice(0, maxMessageLength)
  if (badInputs.length > 0) return { code: 'INPUT_DAMAGED', message: text, badInputs: [...new Set(badInputs)] }
  // What a user gave and is gone was not damaged by us, and is not made again.
  return { code: code === 'INPUT_DAMAGED' && !inputs.some(isMade) ? 'SOURCE_REFUSED' : code, message: text }
}

function taskOf(input: InputFile, { code }: AppError): TaskId[] {
  return code === 'INPUT_DAMAGED' && input.taskId !== undefined ? [input.taskId] : []
}

const namedSchema = Type.Object({ badInputs: Type.Array(Type.String()) })

function namedTasks({ details }: AppError, inputs: readonly InputFile[]): TaskId[] {
  if (!Check(namedSchema, details)) return []
  const { badInputs } = details
  return inputs.flatMap(({ name, taskId }) => (badInputs.includes(name) && taskId !== undefined ? [taskId] : []))
}

function isMade({ taskId }: InputFile): boolean {
  return taskId !== undefined
}

/** Addresses on loopback say nothing to people. */
function withNames(message: string, inputs: readonly InputFile[], mount: SourceMount | undefined): string {
  if (!mount) return message
  return inputs.reduce((text, { name }) => text.replaceAll(mount.urlOf(name), `"${name}"`), message)
}

/** A full disk comes as many errors. */
function withDiskCode(error: AppError): AppError {
  const isFull = /ENOSPC|No space left on device/.test(error.message)
  return isFull ? new AppError('DISK_FULL', error.message, { cause: error }) : error
}
