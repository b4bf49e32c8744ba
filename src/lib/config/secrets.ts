import { withoutCredentials } from '../log.ts'
import { findShape, type Shape } from './shape.ts'
import { mapTexts } from './tree.ts'

/** The value as it may be shown: secrets replaced, and user and password cut out of URLs. */
export function hideSecrets(shape: Shape, value: unknown): unknown {
  return mapTexts(value, (text, path) => (findShape(shape, path)?.isSecret ? '(hidden)' : withoutCredentials(text)))
}

/** Whether a text of the file, before substitution, holds a secret in plain words: a secret setting, or a password in a URL. */
export function isPlainSecret(text: string, shape: Shape | undefined): boolean {
  if (shape?.isSecret) return text !== '' && !text.includes('${')
  const [, password] = /^[a-z][a-z0-9+.-]*:\/\/[^/@\s:]*:([^/@\s]+)@/i.exec(text) ?? []
  return password !== undefined && !password.startsWith('${')
}
