import { Type, type Static, type TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { anySignal, sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { LeaseRef, WorkerRef } from '../job-store.ts'
import {
  claimAnswerSchema,
  completeAnswerSchema,
  heartbeatAnswerSchema,
  registeredSchema,
  uploadAnswerSchema,
  type ClaimReply,
  type CompleteMessage,
  type FailMessage,
  type HeartbeatMessage,
  type HeartbeatReply,
  type Register,
  type Registered,
  type TaskLogLine,
  type Upload,
} from '../worker-protocol.ts'
import { ApiAddresses, type ApiAnswer } from './api-addresses.ts'
import type { TlsConnections } from './worker-tls.ts'

const answerMs = 15_000
const retryFirstMs = 250
const defaultRetryMaxMs = 15_000

const sourceAnswerSchema = Type.Object({ url: Type.String() })
const failAnswerSchema = Type.Object({ isTaken: Type.Boolean() })

type Options = { readonly signal?: AbortSignal }
/** The trace that a request is part of, as W3C Trace Context has it. */
type Traced = Options & { readonly traceparent?: string | undefined }
/** With the address that gave it. */
type Answered<Schema extends TSchema> = { readonly answer: Static<Schema>; readonly base: URL }
type Call = {
  readonly body: unknown
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
  readonly traceparent?: string | undefined
}
export type WorkerClientOptions = {
  readonly urls: readonly string[]
  /** `name:password`, for addresses that have none. */
  readonly credential?: string | undefined
  /** For addresses with `https:`; absent: those of Node. */
  readonly tls?: Pick<TlsConnections, 'agent'> | undefined
  readonly log: Logger
  /** Longest wait between two tries. */
  readonly retryMaxMs?: number
}
/** A file as it is announced, before its first byte is sent. */
export type AnnouncedFile = { readonly name: string; readonly sizeBytes: number; readonly contentType: string }

/**
 * The API as a worker sees it. It needs nothing but its addresses, in which user and password may stand; of several it stays with the one that answers.
 *
 * `heartbeat`, `claim`, `sendLogs` and `release` try each address once and throw `API_UNREACHABLE`: whoever calls them asks again anyway. All others are
 * asked until there is an answer or the signal fires. A refusal comes out as the server's own error.
 */
export class WorkerClient {
  readonly #addresses: ApiAddresses
  readonly #log: Logger
  readonly #retryMaxMs: number

  /** `USAGE` when an address is none. */
  constructor({ urls, credential, tls, log, retryMaxMs = defaultRetryMaxMs }: WorkerClientOptions) {
    this.#addresses = new ApiAddresses(urls, credential, tls)
    this.#log = log
    this.#retryMaxMs = retryMaxMs
  }

  /** Requests that got no answer, or one that is none of the API's. */
  get failureCount(): number {
    return this.#addresses.failureCount
  }

  /** Nodes of the API that it may turn to. */
  get addressCount(): number {
    return this.#addresses.count
  }

  async register(message: Register, { signal }: Options = {}): Promise<Registered> {
    const { answer } = await this.#insist('nodes', registeredSchema, { body: message, signal })
    return answer
  }

  async heartbeat(nodeId: string, message: HeartbeatMessage, { signal }: Options = {}): Promise<HeartbeatReply> {
    const { answer } = await this.#ask(`nodes/${nodeId}/heartbeat`, heartbeatAnswerSchema, { body: message, signal })
    return answer
  }

  async claim(worker: WorkerRef, { max, waitMs, signal }: { max: number; waitMs: number } & Options): Promise<ClaimReply> {
    const call = { body: { epoch: worker.epoch, max, waitMs }, signal, timeoutMs: waitMs + answerMs }
    const { answer, base } = await this.#ask(`nodes/${worker.nodeId}/claim`, claimAnswerSchema, call)
    const tasks = answer.tasks.map((task) => ({
      ...task,
      inputs: task.inputs.map((input) => ({ ...input, url: wholeUrl(input.url, base) })),
    }))
    return { isKnown: answer.isKnown, tasks }
  }

  async announceFiles(
    worker: WorkerRef,
    lease: LeaseRef,
    { files, ...options }: { files: readonly AnnouncedFile[] } & Traced,
  ): Promise<readonly Upload[]> {
    const body = { epoch: worker.epoch, fence: lease.fence, files }
    const { answer, base } = await this.#insist(`${taskPath(worker, lease)}/files`, uploadAnswerSchema, { body, ...options })
    return answer.uploads.map((upload) => ({ ...upload, partUrls: upload.partUrls.map((url) => wholeUrl(url, base)) }))
  }

  /** A fresh URL of an input. */
  async findSource(worker: WorkerRef, lease: LeaseRef, { name, ...options }: { name: string } & Traced): Promise<string> {
    const body = { epoch: worker.epoch, fence: lease.fence, name }
    const { answer, base } = await this.#insist(`${taskPath(worker, lease)}/source`, sourceAnswerSchema, { body, ...options })
    return wholeUrl(answer.url, base)
  }

  async complete(
    worker: WorkerRef,
    lease: LeaseRef,
    { signal, traceparent, ...outcome }: Pick<CompleteMessage, 'output' | 'uploads'> & Traced,
  ): Promise<Static<typeof completeAnswerSchema>['verdict']> {
    const body: CompleteMessage = { epoch: worker.epoch, fence: lease.fence, ...outcome }
    const { answer } = await this.#insist(`${taskPath(worker, lease)}/complete`, completeAnswerSchema, {
      body,
      signal,
      traceparent,
    })
    return answer.verdict
  }

  /** False: the task was somebody else's by then. */
  async fail(
    worker: WorkerRef,
    lease: LeaseRef,
    { signal, traceparent, ...failure }: Omit<FailMessage, 'epoch' | 'fence'> & Traced,
  ): Promise<boolean> {
    const body: FailMessage = { epoch: worker.epoch, fence: lease.fence, ...failure }
    const { answer } = await this.#insist(`${taskPath(worker, lease)}/fail`, failAnswerSchema, { body, signal, traceparent })
    return answer.isTaken
  }

  async sendLogs(worker: WorkerRef, lines: readonly TaskLogLine[], { signal }: Options = {}): Promise<void> {
    await this.#send(`nodes/${worker.nodeId}/logs`, { body: { epoch: worker.epoch, lines }, signal })
  }

  /** Gives leases back; nothing is counted against their tasks. */
  async release(worker: WorkerRef, held: readonly LeaseRef[], { signal }: Options = {}): Promise<void> {
    await this.#send(`nodes/${worker.nodeId}/release`, { body: { epoch: worker.epoch, held }, signal })
  }

  async #insist<Schema extends TSchema>(path: string, schema: Schema, call: Call): Promise<Answered<Schema>> {
    const backoff = new Backoff({ firstMs: retryFirstMs, maxMs: this.#retryMaxMs })
    for (;;) {
      try {
        return await this.#ask(path, schema, call)
      } catch (thrown) {
        call.signal?.throwIfAborted()
        const error = toAppError(thrown)
        if (error.code !== 'API_UNREACHABLE') throw error
        const waitMs = backoff.nextMs()
        this.#log.warn({ path, error: error.message, waitMs }, 'API does not answer a worker')
        await sleep(waitMs, call.signal)
        call.signal?.throwIfAborted()
      }
    }
  }

  async #ask<Schema extends TSchema>(path: string, schema: Schema, call: Call): Promise<Answered<Schema>> {
    const { value: answer, base } = await this.#send(path, call)
    if (Check(schema, answer)) return { answer, base }
    throw new AppError('UNSUPPORTED', `the API gave an answer to "${path}" that this worker does not know; run the same version`)
  }

  /** One request to each address, until one answers. */
  async #send(path: string, { body, signal, timeoutMs = answerMs, traceparent }: Call): Promise<ApiAnswer> {
    return await this.#addresses.post(`worker/${path}`, {
      json: JSON.stringify(body),
      headers: traceparent === undefined ? {} : { traceparent },
      signalOf: () => anySignal(signal, AbortSignal.timeout(timeoutMs)),
    })
  }
}

function taskPath({ nodeId }: WorkerRef, { taskId }: LeaseRef): string {
  return `nodes/${nodeId}/tasks/${taskId}`
}

function wholeUrl(url: string, base: URL): string {
  return new URL(url, base).href
}
