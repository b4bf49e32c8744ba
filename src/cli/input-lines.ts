import { addAbortSignal, type Readable } from 'node:stream'
import { AppError } from '#lib/errors.ts'

/** `number` counts from 1. */
export type InputLine = { readonly number: number; readonly text: string }

/** The longest line: more than this no server takes at once. */
const maxLineLength = 8 * 1024 * 1024

/**
 * The lines of a file or pipe, without their ends, in the groups in which they come; `doneBytes` is how much was read. A last line needs no end. Throws
 * `MALFORMED` for what is no UTF-8, `LIMIT_EXCEEDED`, and the reason of `signal`.
 */
export async function* readInputLines(
  input: Readable,
  signal: AbortSignal,
): AsyncGenerator<{ lines: InputLine[]; doneBytes: number }, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let doneBytes = 0
  let rest = ''
  let count = 0
  const take = (texts: readonly string[]): InputLine[] =>
    texts.map((text) => ({ number: ++count, text: text.endsWith('\r') ? text.slice(0, -1) : text }))
  const decode = (bytes?: Buffer): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined })
    } catch (cause) {
      throw new AppError(
        'MALFORMED',
        `near line ${count + 1} there is no UTF-8; send other bytes with --json as { "base64": "…" }`,
        { cause },
      )
    }
  }
  for await (const chunk of addAbortSignal(signal, input)) {
    if (!(chunk instanceof Buffer)) continue
    doneBytes += chunk.length
    const texts = (rest + decode(chunk)).split('\n')
    rest = texts.pop() ?? ''
    if (rest.length > maxLineLength)
      throw new AppError('LIMIT_EXCEEDED', `line ${count + texts.length + 1} is longer than ${maxLineLength} characters`)
    yield { lines: take(texts), doneBytes }
  }
  rest += decode()
  if (rest !== '') yield { lines: take([rest]), doneBytes }
}
