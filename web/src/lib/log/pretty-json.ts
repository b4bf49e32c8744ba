/** A piece of indented JSON; `plain` are marks and spaces. */
export type JsonPiece = { readonly kind: 'plain' | 'key' | 'text' | 'number' | 'word'; readonly text: string }

const token = /("[^"\\]*(?:\\.[^"\\]*)*")|(-?\d[\d.eE+-]*)|(true|false|null)|[[\]{},:]/g

/**
 * An object or array of JSON with each member on a line of its own; undefined for whatever else. The text is taken as it stands: numbers keep all their digits,
 * and a key that comes twice is there twice.
 */
export function prettyJson(text: string): readonly JsonPiece[] | undefined {
  if (!/^\s*[[{]/.test(text) || !isJson(text)) return undefined
  const pieces: JsonPiece[] = []
  let plain = ''
  let depth = 0
  const add = (kind: JsonPiece['kind'], piece: string): void => {
    if (plain !== '') pieces.push({ kind: 'plain', text: plain })
    plain = ''
    pieces.push({ kind, text: piece })
  }
  let before = ''
  for (const match of text.matchAll(token)) {
    const [mark, string, number, word] = match
    if (before === '{' || before === '[') {
      if (mark === '}' || mark === ']') depth -= 1
      else plain += lineAt(depth)
    } else if (mark === '}' || mark === ']') {
      depth -= 1
      plain += lineAt(depth)
    } else if (before === ',') plain += lineAt(depth)
    if (string !== undefined) add(isKey(text, match.index + string.length) ? 'key' : 'text', string)
    else if (number !== undefined) add('number', number)
    else if (word !== undefined) add('word', word)
    else plain += mark === ':' ? ': ' : mark
    if (mark === '{' || mark === '[') depth += 1
    before = mark
  }
  pieces.push({ kind: 'plain', text: plain })
  return pieces
}

function lineAt(depth: number): string {
  return `\n${'  '.repeat(depth)}`
}

const colon = /\s*:/y
function isKey(text: string, end: number): boolean {
  colon.lastIndex = end
  return colon.test(text)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
