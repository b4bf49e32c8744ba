import type { FastifyReply } from 'fastify'
import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'

/** Clients that wait for records or follow them at once. */
const maxReaders = 2000

/** Made once: with an exception of its own for each request, its stack would cost more than most answers. */
const clientGone = new AppError('TIMEOUT', 'the client went away before it was answered')

/** Counts the requests that may take long, and tells each when its client is gone or the server stops. */
export class ReaderSlots {
  readonly #closing: AbortSignal
  #used = 0

  constructor(closing: AbortSignal) {
    this.#closing = closing
  }

  /** Throws `CLIENT_LIMIT`. The place is free again when the answer has ended. */
  take(reply: FastifyReply): AbortSignal {
    if (this.#used >= maxReaders) {
      throw new AppError('CLIENT_LIMIT', `${maxReaders} clients read records, the most allowed; try again later`)
    }
    this.#used += 1
    const gone = new AbortController()
    reply.raw.once('close', () => {
      this.#used -= 1
      gone.abort(clientGone)
    })
    return anySignal(gone.signal, this.#closing)
  }
}
