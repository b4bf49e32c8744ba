import { AppError } from '#lib/errors.ts'

// What a codec process needs of the messages between it and the server. No schemas: their library has 680 modules, which take 0.2 s of a processor to load, in
// each process anew.

/** The headers that the server sends to a codec process. A `request` is answered once, also after it was cancelled. */
export type ToChild =
  | { readonly kind: 'request'; readonly id: number; readonly method: string; readonly params: unknown }
  | { readonly kind: 'cancel'; readonly id: number }

/** How often a codec process says that it is alive. */
export const aliveIntervalMs = 1000

/** Throws `MALFORMED` for anything that is no message to a codec process. */
export function parseToChild(header: unknown): ToChild {
  if (typeof header === 'object' && header !== null && 'kind' in header && 'id' in header && typeof header.id === 'number') {
    const { id } = header
    if (header.kind === 'cancel') return { kind: 'cancel', id }
    if (header.kind === 'request' && 'method' in header && typeof header.method === 'string' && 'params' in header) {
      return { kind: 'request', id, method: header.method, params: header.params }
    }
  }
  throw new AppError('MALFORMED', 'the server sent a message that no codec process knows')
}
