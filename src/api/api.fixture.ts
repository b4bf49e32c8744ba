/** A whole API server for tests: real streams, real recordings on a real disk, a real port. */
import { join } from 'node:path'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import type { LogAgent } from '#eventlog/agent.ts'
import type { EventInput, EventLog } from '#eventlog/event-log.ts'
import { eventsTopic, PlatformEvents } from '#eventlog/platform/platform-events.ts'
import { systemClock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import { systemTimers } from '#lib/timers.ts'
import { segmentOpener } from '#live/archive/open-segment.ts'
import { SegmentArchive } from '#live/archive/segment-archive.ts'
import type { EventSink } from '#live/events.ts'
import { StreamPackaging } from '#live/packaging.ts'
import { Playback } from '#live/playback/playback.ts'
import { deleteRecording } from '#live/recorder/delete-segment.ts'
import { IndexWriter } from '#live/recorder/index-writer.ts'
import { Recorder } from '#live/recorder/recorder.ts'
import { openIndex, packageInto, silentLog } from '#live/recorder/recording.fixture.ts'
import type { SegmentQuery } from '#live/recorder/recording-index.ts'
import { type StoredStream, StreamRegistry } from '#live/registry.ts'
import { liveSettingsSchema } from '#live/settings.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { openLog } from '../../test/support/log-agent.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { ApiServer, type ApiServerDeps, type LiveServices, type LogServices } from './server.ts'

type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown }

export type TestApi = AsyncDisposable & {
  readonly server: ApiServer
  readonly registry: StreamRegistry
  readonly agent: LogAgent
  readonly history: TestHistory
  /** What was logged, a parsed line each. */
  readonly logged: readonly Record<string, unknown>[]
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Sends `body` as JSON and reads the answer as JSON. */
  call(method: string, path: string, body?: unknown): Promise<Answer>
  /** Records some seconds of `stream`; the files are closed when this resolves. */
  record(stream: string, options?: { seconds?: number; fromMs?: number }): Promise<void>
}

/** The events of the platform: what the API shows of them, and a way to make some. */
export class TestHistory {
  readonly log: EventLog
  readonly #agent: LogAgent

  constructor({ agent, log }: { agent: LogAgent; log: EventLog }) {
    this.#agent = agent
    this.log = log
  }

  get oldestSequence(): number {
    return this.#agent.topics.get(eventsTopic).partition(0).logStart
  }
  get nextSequence(): number {
    return this.#agent.topics.get(eventsTopic).partition(0).highWatermark
  }

  /** Resolves when they are in the history. */
  async append(...events: readonly EventInput[]): Promise<void> {
    const end = this.nextSequence + events.length
    for (const event of events) this.log.append(event)
    await until(() => this.nextSequence >= end, { what: `${events.length} events in the history` })
  }

  /** Deletes what is before a sequence, as retention does. */
  async deleteBefore(sequence: number): Promise<void> {
    await this.#agent.deleteRecords({ topic: eventsTopic, partition: 0 }, sequence)
  }
}

/** Nothing answers there. */
const gateUrl = 'rtsp://admin:secret@192.0.2.1/stream1'

const settings = Value.Parse(liveSettingsSchema, Value.Default(liveSettingsSchema, {}))

/** Starts it with two streams of the configuration file: `lobby` and `site/gate`. */
export async function startApi({
  live,
  records,
  ...changes
}: Partial<Omit<ApiServerDeps, 'live' | 'records'>> & {
  live?: Partial<LiveServices>
  records?: Partial<LogServices>
} = {}): Promise<TestApi> {
  await using stack = new AsyncDisposableStack()
  const logged: Record<string, unknown>[] = []
  const log = pino({ level: 'debug', base: null }, { write: (line) => void logged.push(parseObject(line)) })
  const { recorderOf, rows, history, agent, ...services } = await openServices(stack)
  const common = { clock: systemClock, log, host: '127.0.0.1', port: 0 }
  const parts = { live: { ...services.live, ...live }, records: { ...services.records, ...records } }
  const server = stack.use(await ApiServer.start({ ...services, ...parts, ...common, ...changes }))
  const owned = stack.move()
  const fetchPath = (path: string, init?: RequestInit): Promise<Response> => fetch(server.url + path, init)
  return {
    server,
    registry: services.live.streams,
    agent,
    history,
    logged,
    fetch: fetchPath,
    async call(method, path, body) {
      const json = { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
      const response = await fetchPath(path, { method, ...(body === undefined ? {} : json) })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
    },
    async record(stream, options) {
      const recorder = recorderOf(stream)
      recorder.start()
      packageInto([recorder], options)
      await recorder[Symbol.asyncDispose]()
      await until(() => rows.pendingRows === 0)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function openServices(stack: AsyncDisposableStack) {
  const { path: directory } = stack.use(await temporaryDirectory())
  const { index } = stack.use(await openIndex())
  const rows = stack.use(new IndexWriter({ index, log: silentLog }))
  const objects = await DirectoryStore.open({ directory: join(directory, 'objects'), clock: systemClock })
  const archive = new SegmentArchive({ objects, directory })
  const log = await openLogServices(stack, directory)
  const events = {
    emit: ({ type, stream, ...data }: { type: string; stream: string }) => log.events.append({ type, subject: stream, data }),
  }
  const recorderOf = (stream: string): Recorder => {
    const disk = { directory, flushMilliseconds: 50, sync: 'none' } as const
    return new Recorder({ stream, segmentSeconds: 2, rows, settings: disk, events, clock: systemClock, log: silentLog })
  }
  const registry = await openStreams(stack, { events, recorderOf })
  const { agent, history, ...records } = log
  return {
    recorderOf,
    rows,
    agent,
    history,
    records: { ...records, eventLog: agent },
    live: {
      streams: registry,
      endpoints: { rtspPort: 8554, hlsPrefix: '/hls/' },
      recordings: {
        find: (id: string) => index.find(id),
        list: (query: SegmentQuery) => index.list(query),
        remove: (id: string) => deleteRecording({ directory, index, archive, events }, id),
      },
      playback: new Playback({ index, openSegment: segmentOpener({ directory, index, archive }), log: silentLog }),
      storage: {
        usage: () => index.usage(),
        findDiskSpace: async () => ({ path: directory, totalBytes: 1000, freeBytes: 500 }),
      },
    },
    node: {
      version: '1.2.3',
      startedAtMs: systemClock.nowMs(),
      roles: ['all'],
      parts: async () => [{ name: 'database', isReady: true }],
    },
    config: { list: () => [{ key: 'api.port', value: 3000, origin: 'default' }] },
    webDirectory: directory,
  }
}

/** Two streams of the configuration file: `lobby` and `site/gate`. */
async function openStreams(
  stack: AsyncDisposableStack,
  { events, recorderOf }: { events: EventSink; recorderOf: (stream: string) => Recorder },
) {
  const common = { events, clock: systemClock, log: silentLog }
  const registry = new StreamRegistry({
    settings,
    pull: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    viewers: () => [],
    packagingFor: (stream, onWatchedChange) => {
      const releaseRecorder = (recorder: Recorder): Promise<void> => recorder[Symbol.asyncDispose]()
      return new StreamPackaging({
        stream,
        settings,
        recorder: recorderOf(stream.name),
        releaseRecorder,
        onWatchedChange,
        ...common,
      })
    },
    store: memoryStore(),
    ...common,
  })
  stack.defer(() => registry.close())
  await registry.open({ defaults: {}, streams: { lobby: { sources: ['publish'] }, 'site/gate': { sources: [gateUrl] } } })
  return registry
}

async function openLogServices(stack: AsyncDisposableStack, directory: string) {
  const { agent } = stack.use(await openLog({ directory }))
  const events = stack.use(
    await PlatformEvents.open({
      agent,
      source: 'test',
      retentionMs: -1,
      clock: systemClock,
      timers: systemTimers,
      newId: () => newId(Date.now()),
      random: Math.random,
      log: silentLog,
    }),
  )
  return { events, agent, history: new TestHistory({ agent, log: events }) }
}

function memoryStore() {
  const stored = new Map<string, StoredStream>()
  return {
    load: async () => [...stored.values()],
    save: async (stream: StoredStream) => void stored.set(stream.name, stream),
    delete: async (name: string) => void stored.delete(name),
  }
}

function parseObject(line: string): Record<string, unknown> {
  const value: unknown = JSON.parse(line)
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
