import type { KeyPath } from './key-path.ts'
import { formatKeyPath } from './key-path.ts'

/**
 * The line (from 1) on which each key, table and list item of a TOML document stands, by its `formatKeyPath`.
 *
 * It reads TOML 1.0 and the 1.1 additions that the parser knows, and expects text that parses; of text that does not, it returns the lines
 * that it understood and never fails. The parser itself keeps no positions, hence this second, shallow reading.
 */
export function scanKeyLines(text: string): ReadonlyMap<string, number> {
  return new KeyLineScanner(text).scan()
}

/** As deep as the parser goes. */
const maxDepth = 1000
const bareEnd = /[\s.=,[\]{}#"']/

class KeyLineScanner {
  readonly #text: string
  readonly #lines = new Map<string, number>()
  /** Items so far of each list of tables (`[[…]]`). */
  readonly #itemCounts = new Map<string, number>()
  #at = 0
  #line = 1
  #table: KeyPath = []

  constructor(text: string) {
    this.#text = text.startsWith('\uFEFF') ? text.slice(1) : text
  }

  scan(): ReadonlyMap<string, number> {
    for (;;) {
      this.#skipBlank()
      if (this.#at >= this.#text.length) return this.#lines
      if (this.#text[this.#at] === '[') this.#scanHeader()
      else this.#scanPair(this.#table, 0)
      this.#skipRestOfLine()
    }
  }

  /** `[table]` or `[[list of tables]]`. */
  #scanHeader(): void {
    const isList = this.#text.startsWith('[[', this.#at)
    this.#at += isList ? 2 : 1
    const line = this.#line
    const keys = this.#scanKeys()
    const path = this.#resolve(isList ? keys.slice(0, -1) : keys, line)
    if (!isList) {
      this.#lines.set(formatKeyPath(path), line)
      this.#table = path
      return
    }
    const list = [...path, keys.at(-1) ?? '']
    const name = formatKeyPath(list)
    const count = this.#itemCounts.get(name) ?? 0
    this.#itemCounts.set(name, count + 1)
    this.#note(list, line)
    this.#table = [...list, count]
    this.#note(this.#table, line)
  }

  /** Header keys as a path: what goes through a list of tables means its last item. */
  #resolve(keys: readonly string[], line: number): KeyPath {
    let path: KeyPath = []
    for (const key of keys) {
      path = [...path, key]
      this.#note(path, line)
      const count = this.#itemCounts.get(formatKeyPath(path))
      if (count !== undefined) path = [...path, count - 1]
    }
    return path
  }

  /** `key = value` or `a.b.c = value`. */
  #scanPair(table: KeyPath, depth: number): void {
    const line = this.#line
    let path = table
    for (const key of this.#scanKeys()) {
      path = [...path, key]
      this.#note(path, line)
    }
    this.#skipSpace()
    if (this.#text[this.#at] !== '=') return
    this.#at += 1
    this.#skipSpace()
    this.#scanValue(path, depth)
  }

  #scanKeys(): string[] {
    const keys: string[] = []
    for (;;) {
      this.#skipSpace()
      const key = this.#scanKey()
      if (key === undefined) return keys
      keys.push(key)
      this.#skipSpace()
      if (this.#text[this.#at] !== '.') return keys
      this.#at += 1
    }
  }

  #scanKey(): string | undefined {
    const first = this.#text[this.#at]
    const start = this.#at
    if (first === '"' || first === "'") {
      this.#skipText(first)
      const inside = this.#text.slice(start + 1, this.#at - 1)
      return first === '"' ? unescapeKey(inside) : inside
    }
    while (this.#at < this.#text.length && !bareEnd.test(this.#text.charAt(this.#at))) this.#at += 1
    return this.#at > start ? this.#text.slice(start, this.#at) : undefined
  }

  #scanValue(path: KeyPath, depth: number): void {
    const first = this.#text[this.#at]
    if (first === '[' && depth < maxDepth) this.#scanItems(']', (index) => this.#scanItem([...path, index], depth + 1))
    else if (first === '{' && depth < maxDepth) this.#scanItems('}', () => this.#scanPair(path, depth + 1))
    else if (first === '"' || first === "'") this.#skipText(first)
    else while (this.#at < this.#text.length && !/[,\]}#\n]/.test(this.#text.charAt(this.#at))) this.#at += 1
  }

  #scanItem(path: KeyPath, depth: number): void {
    this.#note(path, this.#line)
    this.#scanValue(path, depth)
  }

  /** What stands between brackets, separated by commas, over any number of lines. */
  #scanItems(close: ']' | '}', scanOne: (index: number) => void): void {
    this.#at += 1
    for (let index = 0; ; index++) {
      this.#skipBlank()
      while (this.#text[this.#at] === ',') {
        this.#at += 1
        this.#skipBlank()
      }
      if (this.#at >= this.#text.length) return
      if (this.#text[this.#at] === close) {
        this.#at += 1
        return
      }
      const before = this.#at
      scanOne(index)
      if (this.#at === before) this.#at += 1
    }
  }

  /** A text in single or double quotes, or in three of them. */
  #skipText(quote: '"' | "'"): void {
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at)
    this.#at += isLong ? 3 : 1
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]
      if (char === '\n' && !isLong) return
      if (char === '\n') this.#line += 1
      if (char === '\\' && quote === '"') this.#skipEscape()
      else if (char !== quote) this.#at += 1
      else if (!isLong || this.#text.startsWith(quote.repeat(3), this.#at)) break
      else this.#at += 1
    }
    this.#at += isLong ? 3 : 1
    // Up to two quotes may stand right before the closing three.
    for (let extra = 0; isLong && extra < 2 && this.#text[this.#at] === quote; extra++) this.#at += 1
  }

  /** A backslash and what follows; a newline after it still counts as a line. */
  #skipEscape(): void {
    this.#at += this.#text[this.#at + 1] === '\n' ? 1 : 2
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1
  }

  /** Spaces, newlines and comments. */
  #skipBlank(): void {
    for (;;) {
      const char = this.#text[this.#at]
      if (char === '#') this.#skipRestOfLine()
      else if (char === '\n') this.#newline()
      else if (char === ' ' || char === '\t' || char === '\r') this.#at += 1
      else return
    }
  }

  #skipRestOfLine(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end === -1 ? this.#text.length : end
  }

  #newline(): void {
    this.#at += 1
    this.#line += 1
  }

  /** The first mention of a path counts. */
  #note(path: KeyPath, line: number): void {
    const name = formatKeyPath(path)
    if (!this.#lines.has(name)) this.#lines.set(name, line)
  }
}

const escapes: Record<string, string> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\u001B', '"': '"', '\\': '\\' }

/** Escapes of a basic string, TOML 1.0 and 1.1. */
function unescapeKey(text: string): string {
  return text.replace(
    /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/g,
    (all, ...groups: (string | undefined)[]) => {
      const [byte, short, long, letter] = groups
      const hex = byte ?? short ?? long
      if (hex === undefined) return escapes[letter ?? ''] ?? all
      const code = Number.parseInt(hex, 16)
      return code <= 0x10_ffff ? String.fromCodePoint(code) : all
    },
  )
}
