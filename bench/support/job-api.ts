/** Clients of the jobs API for benchmarks: somebody who submits, and a worker that does nothing with what it claims. */
import { Agent, request } from 'node:http'
import type { ClaimReply, Registered } from '#jobs/worker-protocol.ts'
import { unreadSource } from './job-queue.ts'

/** What a probe of a film with sound alone says: the job then has two more tasks, which a worker without an encoder does not get. */
const output = {
  kind: 'probe',
  probe: {
    format: 'mov,mp4',
    durationMs: 10_000,
    audio: [{ track: 0, codec: 'aac', channels: 2, sampleRate: 48_000, startMs: 0, durationMs: 10_000 }],
  },
}

/** One connection is used for one request at a time, and kept. */
export class JobsHttp {
  readonly #base: URL
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  constructor(url: string) {
    this.#base = new URL(`${url}/api/v1/`)
  }

  async submit(): Promise<void> {
    await this.ask('POST', 'jobs', { scenario: 'audio-only', ...unreadSource })
  }

  /** The body of a good answer; throws for any other. */
  async ask<Answer>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
    const json = body === undefined ? undefined : JSON.stringify(body)
    const headers = json === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const sent = request(new URL(path, this.#base), { method, headers, agent: this.#agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (text += part))
      response.on('error', reject)
      response.on('end', () => {
        const isGood = response.statusCode === 200 || response.statusCode === 201
        if (!isGood) return reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text}`))
        const answer: Answer = JSON.parse(text)
        resolve(answer)
      })
    })
    sent.on('error', reject)
    sent.end(json)
    return await promise
  }
}

/** Speaks the protocol of workers and has more slots than it can use. */
export class RawWorker {
  readonly #http: JobsHttp
  readonly #id: string
  #epoch = 0

  constructor(http: JobsHttp, id: string) {
    this.#http = http
    this.#id = id
  }

  async register(): Promise<void> {
    const facts = { name: this.#id, version: '1', slots: 1000, liveReserve: 0, capabilities: ['cpu'] }
    const { epoch } = await this.#http.ask<Registered>('POST', 'worker/nodes', { id: this.#id, ...facts })
    this.#epoch = epoch
  }

  async claim({ max, waitMs }: { max: number; waitMs: number }): Promise<ClaimReply['tasks']> {
    const body = { epoch: this.#epoch, max, waitMs }
    return (await this.#http.ask<ClaimReply>('POST', `worker/nodes/${this.#id}/claim`, body)).tasks
  }

  async complete({ taskId, fence }: { readonly taskId: number; readonly fence: number }): Promise<void> {
    const body = { epoch: this.#epoch, fence, output, uploads: [] }
    await this.#http.ask('POST', `worker/nodes/${this.#id}/tasks/${taskId}/complete`, body)
  }
}
