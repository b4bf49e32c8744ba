import type { produceOutcome, produceStreamRequest, produceStreamResponse } from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { appendRecords } from '../appending.ts'
import type { At, Conversation } from '../route.ts'

/** Requests of one stream that are not answered. */
const maxInFlight = 1024
const maxInFlightBytes = 16_777_216

type Request = ValueOf<typeof produceStreamRequest>
type Outcome = InputOf<typeof produceOutcome>
type Talk = Conversation<Request, InputOf<typeof produceStreamResponse>>

/**
 * Appends requests as they come, and answers each when it is durable. What becomes durable together, as all records of one sync do, is answered with one message.
 *
 *   receive ── window ──► append ──► outcomes ── send ──► window
 */
export async function produceStream(talk: Talk, at: At): Promise<void> {
  const stream = new ProduceStream(talk, at)
  try {
    for (let incoming = await talk.receive(); incoming; incoming = await talk.receive()) {
      stream.begin(incoming.request, incoming.heldBytes)
      await stream.untilRoom()
    }
  } finally {
    await stream.untilDone()
  }
}

class ProduceStream {
  readonly #talk: Talk
  readonly #at: At
  #inFlight = { requests: 0, bytes: 0 }
  #outcomes: { readonly outcome: Outcome; readonly heldBytes: number }[] = []
  #isSending = false
  #wake: (() => void) | undefined

  constructor(talk: Talk, at: At) {
    this.#talk = talk
    this.#at = at
  }

  /** The records have their places in their partitions when this returns. */
  begin({ sequence, request }: Request, heldBytes: number): void {
    this.#inFlight.requests += 1
    this.#inFlight.bytes += heldBytes
    const produced = request
      ? appendRecords(request, { context: this.#at.context, timeoutMs: this.#at.call.remainingMs })
      : Promise.reject(new AppError('MALFORMED', `message ${sequence} has no request`))
    produced.then(
      (value) => this.#done({ sequence, result: { kind: 'produced', value } }, heldBytes),
      (thrown: unknown) => {
        const { code, message } = toAppError(thrown)
        this.#done({ sequence, result: { kind: 'error', value: { code, message } } }, heldBytes)
      },
    )
  }

  async untilRoom(): Promise<void> {
    while (this.#inFlight.requests >= maxInFlight || this.#inFlight.bytes >= maxInFlightBytes) await this.#change()
  }

  async untilDone(): Promise<void> {
    while (this.#inFlight.requests > 0) await this.#change()
  }

  #done(outcome: Outcome, heldBytes: number): void {
    this.#outcomes.push({ outcome, heldBytes })
    if (this.#isSending) return
    this.#isSending = true
    // After all the others that are told of the same sync.
    process.nextTick(() => void this.#send())
  }

  async #send(): Promise<void> {
    while (this.#outcomes.length > 0) {
      const sent = this.#outcomes
      this.#outcomes = []
      const heldBytes = sent.reduce((sum, one) => sum + one.heldBytes, 0)
      await this.#talk.send({ outcomes: sent.map(({ outcome }) => outcome) })
      this.#at.call.release({ heldBytes })
      this.#inFlight.requests -= sent.length
      this.#inFlight.bytes -= heldBytes
      this.#wake?.()
    }
    this.#isSending = false
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }
}
