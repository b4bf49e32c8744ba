import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import {
  eventListSchema,
  readerListSchema,
  recordingListSchema,
  statusSchema,
  streamViewSchema,
  timelineSchema,
  type EventMessage,
  type ReaderView,
  type RecordingView,
  type Status,
  type StreamView,
  type TimelineRange,
} from '#api/contract.ts'
import { until } from './until.ts'

const patienceMs = 20_000

/** The API of a program under test. Every answer is checked against the contract; a refusal is an error with status and body. */
export class TestApi {
  readonly #base: string

  /** `url` as `Millrace.url`. */
  constructor({ url }: { readonly url: string }) {
    this.#base = `${url}/api/v1`
  }

  stream(name: string): Promise<StreamView> {
    return this.#ask(streamPath(name), streamViewSchema)
  }
  async readers(name: string): Promise<readonly ReaderView[]> {
    return (await this.#ask(`${streamPath(name)}/readers?limit=1000`, readerListSchema)).items
  }
  status(): Promise<Status> {
    return this.#ask('/status', statusSchema)
  }
  async recordings(stream: string): Promise<readonly RecordingView[]> {
    return (await this.#ask(`/recordings?limit=1000&stream=${encodeURIComponent(stream)}`, recordingListSchema)).items
  }
  async timeline(stream: string): Promise<readonly TimelineRange[]> {
    return (await this.#ask(`${streamPath(stream)}/timeline`, timelineSchema)).items
  }
  /** What is kept of the history, oldest first; of this type and about this, when given. */
  async events(filter: { type?: string; subject?: string } = {}): Promise<readonly EventMessage[]> {
    return (await this.#ask(`/events?${String(new URLSearchParams({ from: '0', limit: '1000', ...filter }))}`, eventListSchema))
      .items
  }
  create(stream: { name: string } & Readonly<Record<string, unknown>>): Promise<StreamView> {
    return this.#ask('/streams', streamViewSchema, 'POST', stream)
  }
  change(name: string, spec: Readonly<Record<string, unknown>>): Promise<StreamView> {
    return this.#ask(streamPath(name), streamViewSchema, 'PATCH', spec)
  }
  act(
    name: string,
    action: 'start' | 'stop' | 'restart' | `recording/${'start' | 'stop' | 'pause' | 'resume'}`,
  ): Promise<StreamView> {
    return this.#ask(`${streamPath(name)}/${action}`, streamViewSchema, 'POST')
  }

  /** Waits until the stream is as wanted, and gives it; also while it does not exist yet. */
  untilStream(name: string, what: string, isWanted: (stream: StreamView) => boolean): Promise<StreamView> {
    const look = async (): Promise<StreamView | undefined> => {
      const stream = await this.#get(streamPath(name)).then(async (response) =>
        response.status === 404 ? undefined : await read(response, streamViewSchema),
      )
      return stream && isWanted(stream) ? stream : undefined
    }
    return until(look, { what: `stream "${name}" ${what}`, timeoutMs: patienceMs })
  }
  untilState(name: string, state: StreamView['state']): Promise<StreamView> {
    return this.untilStream(name, `to be ${state}`, (stream) => stream.state === state)
  }
  untilEvent(
    filter: { type: string; subject: string },
    isWanted: (event: EventMessage) => boolean = () => true,
  ): Promise<EventMessage> {
    const look = async (): Promise<EventMessage | undefined> => (await this.events(filter)).find(isWanted)
    return until(look, { what: `${filter.type} of "${filter.subject}"`, timeoutMs: patienceMs })
  }

  /** The bytes of any answer under `/api/v1`, such as an export. */
  async bytes(path: string): Promise<Buffer> {
    const response = await this.#get(path)
    if (!response.ok) throw new Error(`${response.status} from ${response.url}: ${await response.text()}`)
    return Buffer.from(await response.arrayBuffer())
  }

  #get(path: string): Promise<Response> {
    return fetch(this.#base + path)
  }

  async #ask<Schema extends TSchema>(path: string, schema: Schema, method = 'GET', body?: unknown): Promise<Static<Schema>> {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return await read(await fetch(this.#base + path, { method, ...sent }), schema)
  }
}

async function read<Schema extends TSchema>(response: Response, schema: Schema): Promise<Static<Schema>> {
  const body: unknown = await response.json()
  if (response.ok && Check(schema, body)) return body
  throw new Error(`${response.status} from ${response.url}: ${JSON.stringify(body)}`)
}

function streamPath(name: string): string {
  return `/streams/${encodeURIComponent(name)}`
}
