import { readFileSync } from 'node:fs'
import { AppError } from './errors.ts'

/** The version of the program, from its package file. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const description: unknown = JSON.parse(text)
  const version =
    typeof description === 'object' && description !== null && 'version' in description ? description.version : undefined
  if (typeof version !== 'string') throw new AppError('INTERNAL', 'package.json has no version')
  return version
}
