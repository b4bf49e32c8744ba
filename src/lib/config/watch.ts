import { statSync, watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from '../log.ts'
import { Queue } from '../queue.ts'

/** Why the configuration should be read again. */
export type ReloadRequest = { readonly cause: 'signal' | 'file-change' }

export type WatchOptions = {
  readonly file: string | undefined
  readonly signal: AbortSignal
  readonly log: Logger
  /** How long the file must be quiet. */
  readonly debounceMs?: number
}

/**
 * Asks for a reload on SIGHUP and when the file changes, from its making until the signal fires or it is disposed. Requests that come while one is
 * handled become one.
 *
 * The directory is watched and not the file: editors write a new file and rename it, and Kubernetes swaps a link beside it. What counts as a
 * change is the file's own stamp, so that other files of the directory cost a `stat` and nothing else.
 */
export class ReloadWatch implements AsyncIterable<ReloadRequest>, Disposable {
  readonly #requests = new Queue<ReloadRequest>({ capacity: 1, whenFull: 'drop-newest' })
  readonly #watcher: FileWatcher | undefined
  readonly #signal: AbortSignal
  readonly #onHangup = (): void => this.#requests.push({ cause: 'signal' })
  readonly #onAbort = (): void => this[Symbol.dispose]()

  constructor({ file, signal, log, debounceMs = 200 }: WatchOptions) {
    this.#signal = signal
    process.on('SIGHUP', this.#onHangup)
    const onChange = (): void => this.#requests.push({ cause: 'file-change' })
    if (file !== undefined) this.#watcher = new FileWatcher({ file, log, debounceMs, onChange })
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) this.#onAbort()
  }

  [Symbol.asyncIterator](): AsyncIterator<ReloadRequest> {
    return this.#requests[Symbol.asyncIterator]()
  }

  [Symbol.dispose](): void {
    process.off('SIGHUP', this.#onHangup)
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#watcher?.close()
    this.#requests.close()
  }
}

class FileWatcher {
  readonly #file: string
  readonly #log: Logger
  readonly #debounceMs: number
  readonly #onChange: () => void
  readonly #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #stamp: string | undefined

  /** Without it (no inotify watches left, a network file system) SIGHUP still works, so a failure is a warning. */
  constructor({ file, log, debounceMs, onChange }: { file: string; log: Logger; debounceMs: number; onChange: () => void }) {
    this.#file = file
    this.#log = log
    this.#debounceMs = debounceMs
    this.#onChange = onChange
    this.#stamp = stampOf(file)
    try {
      this.#watcher = watch(dirname(file), () => this.#look())
      this.#watcher.on('error', (error) => this.#warn(error))
    } catch (error) {
      this.#warn(error)
    }
  }

  close(): void {
    this.#watcher?.close()
    clearTimeout(this.#timer)
  }

  #look(): void {
    const stamp = stampOf(this.#file)
    if (stamp === undefined || stamp === this.#stamp) return
    this.#stamp = stamp
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#onChange, this.#debounceMs)
  }

  #warn(error: unknown): void {
    this.#log.warn({ file: this.#file, error: String(error) }, 'configuration file is not watched; use SIGHUP to reload')
  }
}

/** What changes when the file does; `undefined` while there is none. Follows links. */
function stampOf(file: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}`
  } catch {
    return undefined
  }
}
