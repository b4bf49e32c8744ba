import { AppError } from '#lib/errors.ts'

/** Of S3. */
const maxKeyBytes = 1024
/** Of file systems. */
const maxElementBytes = 255

/** Refuses with `OBJECT_KEY_INVALID` what could leave a directory, or could not be the same key in a directory and in a bucket. */
export function checkObjectKey(key: string): void {
  const fault = faultOf(key)
  if (fault !== undefined) throw new AppError('OBJECT_KEY_INVALID', `object key ${JSON.stringify(key.slice(0, 80))} ${fault}`)
}

export function isObjectKey(key: string): boolean {
  return faultOf(key) === undefined
}

/** The order of keys everywhere: by their UTF-8 bytes. JavaScript's own order differs above U+FFFF. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function faultOf(key: string): string | undefined {
  if (key === '') return 'is empty'
  if (!key.isWellFormed()) return 'is no well-formed Unicode'
  if (Buffer.byteLength(key) > maxKeyBytes) return `is longer than ${maxKeyBytes} bytes`
  if (/\p{Cc}/u.test(key)) return 'has a control character'
  for (const element of key.split('/')) {
    if (element === '') return 'begins or ends with "/", or has two in a row'
    if (element.startsWith('.')) return `has the element ${JSON.stringify(element)}; none may begin with "."`
    if (Buffer.byteLength(element) > maxElementBytes) return `has an element longer than ${maxElementBytes} bytes`
  }
  return undefined
}
