/** A key, value or header value as the API tells it: text where the bytes are UTF-8. */
export type RecordBytes =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'binary'; readonly base64: string }

/** `text`, `null` or `{ "base64" }`. */
export function parseRecordBytes(value: unknown): RecordBytes {
  if (typeof value === 'string') return { kind: 'text', text: value }
  if (typeof value === 'object' && value !== null && 'base64' in value && typeof value.base64 === 'string') {
    return { kind: 'binary', base64: value.base64 }
  }
  return { kind: 'none' }
}

/** How many bytes they are. */
export function sizeOf(bytes: RecordBytes): number {
  if (bytes.kind === 'none') return 0
  if (bytes.kind === 'text') return new TextEncoder().encode(bytes.text).length
  const { base64 } = bytes
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  return (base64.length / 4) * 3 - padding
}

/** About how much memory they take, without looking at them. */
export function weightOf(bytes: RecordBytes): number {
  if (bytes.kind === 'none') return 0
  return bytes.kind === 'text' ? bytes.text.length : bytes.base64.length
}

/** The first bytes, up to a number of them. */
export function firstBytes(base64: string, maxBytes: number): Uint8Array {
  const text = atob(base64.slice(0, Math.ceil(maxBytes / 3) * 4))
  return Uint8Array.from(text.slice(0, maxBytes), (character) => character.charCodeAt(0))
}

const previewChars = 300
const previewBytes = 24

/** One line that says what it is about. */
export function preview(bytes: RecordBytes): string {
  switch (bytes.kind) {
    case 'none':
      return ''
    case 'text':
      return bytes.text.slice(0, previewChars).replaceAll(/\s+/g, ' ').trim()
    case 'binary':
      return [...firstBytes(bytes.base64, previewBytes)].map(hexByte).join(' ')
    default:
      return bytes satisfies never
  }
}

/** Lines of place, bytes in hexadecimal, and the letters among them. */
export function hexDump(bytes: Uint8Array, bytesPerLine = 16): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += bytesPerLine) {
    const line = [...bytes.subarray(at, at + bytesPerLine)]
    const letters = line.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    const hex = line.map(hexByte).join(' ')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(bytesPerLine * 3 - 1)}  ${letters}`)
  }
  return lines.join('\n')
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
