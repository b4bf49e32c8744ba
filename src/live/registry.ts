import { AppError } from '#lib/errors.ts'
import { type Declaration, ManagedStream, type ManagedStreamDeps } from './managed-stream.ts'
import type { Peer } from './peer.ts'
import type { Publication } from './publication.ts'
import type { ReaderStatus, StreamStatus } from './status.ts'
import type { Stream } from './stream.ts'
import { mergePatches, mergeStreamSpec, type StreamSpecPatch } from './stream-spec.ts'

/** What the API said of a stream, kept across restarts. `isDeclared`: the API made it; otherwise it changes a stream of the file. */
export type StoredStream = {
  readonly name: string
  readonly isDeclared: boolean
  readonly spec: StreamSpecPatch
  readonly isEnabled?: boolean
  readonly recording?: 'on' | 'off' | 'paused'
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Where the API's changes are kept. */
export interface StreamStore {
  load(): Promise<StoredStream[]>
  save(stream: StoredStream): Promise<void>
  delete(name: string): Promise<void>
}

/** What the configuration file says. */
export type FileStreams = { readonly defaults: StreamSpecPatch; readonly streams: Readonly<Record<string, StreamSpecPatch>> }

/** Names of streams that a new configuration touched. */
export type Reconciliation = { readonly added: string[]; readonly changed: string[]; readonly removed: string[] }

export type RecordingAction = 'start' | 'stop' | 'pause' | 'resume'

/** An undeclared stream outlives its publisher and last reader by this much, so that a short outage costs no viewer. */
const undeclaredGraceMs = 30_000

const recordingSaid = { start: 'on', resume: 'on', stop: 'off', pause: 'paused' } as const satisfies Record<
  RecordingAction,
  string
>

/**
 * All streams of this process. What the file declares and what the API stored are two layers of one declaration per name;
 * changes come one after the other, and a stream whose declaration stays the same is not touched.
 */
export class StreamRegistry {
  readonly #deps: ManagedStreamDeps
  readonly #store: StreamStore
  readonly #streams = new Map<string, ManagedStream>()
  #stored = new Map<string, StoredStream>()
  #file: FileStreams = { defaults: {}, streams: {} }
  #queue: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(deps: ManagedStreamDeps & { readonly store: StreamStore }) {
    this.#deps = deps
    this.#store = deps.store
  }

  /** Loads what the API stored and starts every stream. */
  async open(file: FileStreams): Promise<void> {
    const rows = await this.#store.load()
    this.#stored = new Map(rows.map((row) => [row.name, row]))
    await this.reconcile(file)
  }

  /** Takes on a new configuration file: starts, changes and stops streams; those it does not touch lose nothing. */
  reconcile(file: FileStreams): Promise<Reconciliation> {
    return this.#exclusive(async () => {
      this.#file = file
      const wanted = this.#declarations()
      const result: Reconciliation = { added: [], changed: [], removed: [] }
      for (const [name, stream] of this.#streams) {
        if (wanted.has(name) || stream.declaration.origin === 'undeclared') continue
        result.removed.push(name)
        await this.#drop(stream, 'removed from the configuration')
      }
      for (const [name, declaration] of wanted) {
        const stream = this.#streams.get(name)
        if (!stream) {
          this.#add(name, declaration)
          result.added.push(name)
        } else if (JSON.stringify(stream.declaration) !== JSON.stringify(declaration)) {
          await stream.apply(declaration)
          result.changed.push(name)
        }
      }
      return result
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#queue
    await Promise.all([...this.#streams.values()].map((stream) => stream.close('shutting down')))
    this.#streams.clear()
  }

  all(): ReadonlyMap<string, ManagedStream> {
    return this.#streams
  }

  /** For servers: takes in a publisher, making the stream when undeclared ones are allowed. */
  publish(name: string, { peer }: { peer: Peer }): Publication {
    return (this.#streams.get(name) ?? this.#addUndeclared(name)).publish(peer)
  }

  /** For servers: the stream as soon as its tracks are known. Throws `STREAM_NOT_FOUND`, `STREAM_OFFLINE`, `STREAM_STOPPED`. */
  openForReading(name: string, { signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    return this.require(name).waitUntilReadable(signal)
  }

  list(): StreamStatus[] {
    return [...this.#streams.values()].map((stream) => stream.status()).sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  find(name: string): StreamStatus | undefined {
    return this.#streams.get(name)?.status()
  }
  readers(name: string): ReaderStatus[] {
    return this.require(name).readers()
  }
  /** Throws `STREAM_NOT_FOUND`. */
  require(name: string): ManagedStream {
    const stream = this.#streams.get(name)
    if (!stream) throw new AppError('STREAM_NOT_FOUND', `no stream is called "${name}"`)
    return stream
  }

  /** Declares a stream. Throws `STREAM_EXISTS`, `STREAM_LIMIT`. An undeclared stream of that name becomes declared and goes on. */
  create(name: string, patch: StreamSpecPatch): Promise<StreamStatus> {
    return this.#exclusive(async () => {
      const existing = this.#streams.get(name)
      if (existing && existing.declaration.origin !== 'undeclared') {
        throw new AppError('STREAM_EXISTS', `stream "${name}" exists already (${existing.declaration.origin}); change it instead`)
      }
      this.#checkLimit()
      const nowMs = this.#deps.clock.nowMs()
      await this.#save({ name, isDeclared: true, spec: patch, createdAtMs: nowMs, updatedAtMs: nowMs })
      const stream = await this.#refresh(name)
      this.#deps.events.emit({ type: 'stream.created', stream: name })
      return stream.status()
    })
  }

  /** Changes some fields of a stream's spec; on a stream of the file this is stored as an override. */
  change(name: string, patch: StreamSpecPatch): Promise<StreamStatus> {
    return this.#update(name, 'stream.changed', (row) => ({ ...row, spec: mergePatches(row.spec, patch) }))
  }
  start(name: string): Promise<StreamStatus> {
    return this.#update(name, 'stream.started', (row) => ({ ...row, isEnabled: true }))
  }
  stop(name: string): Promise<StreamStatus> {
    return this.#update(name, 'stream.stopped', (row) => ({ ...row, isEnabled: false }))
  }

  restart(name: string): Promise<StreamStatus> {
    return this.#exclusive(async () => {
      const stream = this.require(name)
      await stream.restart()
      return stream.status()
    })
  }

  recording(name: string, action: RecordingAction): Promise<StreamStatus> {
    return this.#update(name, 'stream.changed', (row) => ({ ...row, recording: recordingSaid[action] }))
  }

  /** Removes a stream that the API made; of a stream in the file, only the overrides. Throws `STREAM_IN_FILE` when there are none. */
  remove(name: string): Promise<void> {
    return this.#exclusive(async () => {
      const stream = this.require(name)
      const row = this.#stored.get(name)
      const isInFile = name in this.#file.streams
      if (isInFile && !row) {
        throw new AppError(
          'STREAM_IN_FILE',
          `stream "${name}" is declared in the configuration file; remove it there, or stop it instead`,
        )
      }
      if (row) {
        await this.#store.delete(name)
        this.#stored.delete(name)
      }
      if (isInFile) await this.#refresh(name)
      else await this.#drop(stream, 'removed')
      this.#deps.events.emit({ type: isInFile ? 'stream.changed' : 'stream.removed', stream: name })
    })
  }

  #update(
    name: string,
    type: 'stream.changed' | 'stream.started' | 'stream.stopped',
    edit: (row: StoredStream) => StoredStream,
  ): Promise<StreamStatus> {
    return this.#exclusive(async () => {
      this.require(name)
      const nowMs = this.#deps.clock.nowMs()
      const isInFile = name in this.#file.streams
      const row = this.#stored.get(name) ?? { name, isDeclared: !isInFile, spec: {}, createdAtMs: nowMs, updatedAtMs: nowMs }
      await this.#save({ ...edit(row), updatedAtMs: nowMs })
      const stream = await this.#refresh(name)
      this.#deps.events.emit({ type, stream: name })
      return stream.status()
    })
  }

  async #save(row: StoredStream): Promise<void> {
    await this.#store.save(row)
    this.#stored.set(row.name, row)
  }

  /** Brings one stream in line with its declaration. */
  async #refresh(name: string): Promise<ManagedStream> {
    const declaration = this.#declarations().get(name)
    if (!declaration) throw new AppError('STREAM_NOT_FOUND', `no stream is called "${name}"`)
    const stream = this.#streams.get(name)
    if (!stream) return this.#add(name, declaration)
    await stream.apply(declaration)
    return stream
  }

  #declarations(): Map<string, Declaration> {
    const { defaults, streams } = this.#file
    const names = new Set(Object.keys(streams))
    for (const row of this.#stored.values()) if (row.isDeclared) names.add(row.name)
    const result = new Map<string, Declaration>()
    for (const name of names) {
      const inFile = streams[name]
      const row = this.#stored.get(name)
      const hasOverrides =
        row !== undefined && (Object.keys(row.spec).length > 0 || row.isEnabled !== undefined || row.recording !== undefined)
      result.set(name, {
        origin: inFile ? (hasOverrides ? 'file+api' : 'file') : 'api',
        spec: mergeStreamSpec(defaults, inFile ?? {}, row?.spec ?? {}),
        ...(inFile && row ? { overrides: row.spec } : {}),
        isEnabled: row?.isEnabled ?? true,
        ...(row?.recording ? { recording: row.recording } : {}),
      })
    }
    return result
  }

  #add(name: string, declaration: Declaration): ManagedStream {
    const stream = new ManagedStream(name, declaration, this.#deps)
    this.#streams.set(name, stream)
    return stream
  }

  #addUndeclared(name: string): ManagedStream {
    if (!this.#deps.settings.allowUndeclared) {
      throw new AppError('STREAM_NOT_FOUND', `no stream is called "${name}"; create it first, or set live.allowUndeclared`)
    }
    if (this.#isClosed) throw new AppError('SHUTTING_DOWN', 'this process is stopping; publish to another one, or later')
    this.#checkLimit()
    const stream = this.#add(name, {
      origin: 'undeclared',
      spec: mergeStreamSpec(this.#file.defaults, { sources: ['publish'] }),
      isEnabled: true,
    })
    let timer: NodeJS.Timeout | undefined
    const restartGrace = (): void => {
      clearTimeout(timer)
      timer = setTimeout(
        () => void this.#dropUnused(stream).then((isKept) => isKept && restartGrace()),
        undeclaredGraceMs,
      ).unref()
    }
    for (const signal of ['inactive', 'readers'] as const) stream.stream.on(signal, restartGrace)
    restartGrace()
    return stream
  }

  /** False: it is gone, or somebody declared it meanwhile. */
  #dropUnused(stream: ManagedStream): Promise<boolean> {
    return this.#exclusive(async () => {
      if (this.#streams.get(stream.name) !== stream || stream.declaration.origin !== 'undeclared') return false
      if (stream.isUnused) await this.#drop(stream, 'its publisher left')
      return !stream.isUnused
    })
  }

  async #drop(stream: ManagedStream, reason: string): Promise<void> {
    if (this.#streams.get(stream.name) !== stream) return
    this.#streams.delete(stream.name)
    await stream.close(reason)
  }

  #checkLimit(): void {
    const { maxStreams } = this.#deps.settings
    if (this.#streams.size >= maxStreams) {
      throw new AppError('STREAM_LIMIT', `there are ${this.#streams.size} streams, the most allowed; raise live.maxStreams`)
    }
  }

  #exclusive<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(change)
    this.#queue = result.catch(() => undefined)
    return result
  }
}
