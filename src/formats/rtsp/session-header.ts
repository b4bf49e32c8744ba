import { AppError } from '#lib/errors.ts'

/** `Session: 1234;timeout=60`, RFC 2326 §12.37. */
export type SessionHeader = { readonly id: string; readonly timeoutSeconds?: number }

/** Throws `MALFORMED` without an id. */
export function parseSession(header: string): SessionHeader {
  const [id = '', ...parameters] = header.split(';').map((part) => part.trim())
  if (id === '' || id.length > 256) {
    throw new AppError('MALFORMED', `Session header "${header.slice(0, 40)}" has no id of 1 to 256 characters`)
  }
  const timeout = parameters.map((part) => /^timeout\s*=\s*(\d{1,6})$/i.exec(part)?.[1]).find((seconds) => seconds !== undefined)
  const timeoutSeconds = Number(timeout ?? 0)
  return timeoutSeconds > 0 ? { id, timeoutSeconds } : { id }
}

export function writeSession({ id, timeoutSeconds }: SessionHeader): string {
  return timeoutSeconds === undefined ? id : `${id};timeout=${timeoutSeconds}`
}
