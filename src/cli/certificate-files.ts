import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Type } from 'typebox'
import { AppError, toAppError } from '#lib/errors.ts'
import type { MadeCertificate } from './certificate-maker.ts'

/** Flags of the commands that make certificates. */
export const certsOptions = {
  directory: Type.String({
    default: 'certs',
    minLength: 1,
    description: 'Where the files are; it is made when it is not there',
  }),
}

/** Flags of those that an authority signs. */
export const leafOptions = {
  ...certsOptions,
  days: Type.Integer({ default: 825, minimum: 1, maximum: 825, description: 'How long it is valid' }),
}

/** Name of the files of the authority. */
export const authorityName = 'authority'

export type CertificatePaths = { readonly certificate: string; readonly key: string }

/** Where the files with this name are, as whole paths. */
export function certificatePaths(directory: string, name: string): CertificatePaths {
  const plain = name.replaceAll(/[^a-zA-Z0-9._@-]/g, '_')
  return { certificate: resolve(join(directory, `${plain}.pem`)), key: resolve(join(directory, `${plain}-key.pem`)) }
}

/** Writes both, the key for its owner alone. Throws `USAGE` when one of the files is there, or cannot be written: then neither is left. */
export async function writeCertificate({ certificate, key }: CertificatePaths, made: MadeCertificate): Promise<void> {
  try {
    await mkdir(join(key, '..'), { recursive: true })
    await writeFile(key, made.key, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    throw unwritable(key, error)
  }
  try {
    await writeFile(certificate, made.certificate, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    await rm(key)
    throw unwritable(certificate, error)
  }
}

/** The authority of the directory; `USAGE` when there is none. */
export async function readAuthority(directory: string): Promise<MadeCertificate> {
  const paths = certificatePaths(directory, authorityName)
  try {
    const [certificate, key] = await Promise.all([readFile(paths.certificate, 'utf8'), readFile(paths.key, 'utf8')])
    return { certificate, key }
  } catch (cause) {
    const message = `${directory} has no authority (${toAppError(cause).message}); make one with "millrace certs authority --directory ${directory}"`
    throw new AppError('USAGE', message, { cause })
  }
}

function unwritable(path: string, cause: unknown): AppError {
  const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
  const what = isThere ? 'is there already and is not overwritten; move it away first' : `cannot be written: ${String(cause)}`
  return new AppError('USAGE', `${path} ${what}`, { cause })
}
