import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const keptLines = 40

/**
 * A peer of the program under test: a script of `process/`, run by this Node with one JSON argument. It prints an event a line, each with
 * `event` as its name, and ends when its standard input is closed, so also when the test dies.
 */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  readonly #events: { event: string }[] = []
  readonly #messages: string[] = []
  #wake: () => void = () => undefined
  #isClosed = false

  constructor(script: URL, argument: unknown) {
    this.#child = spawn(process.execPath, [fileURLToPath(script), JSON.stringify(argument)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8' },
    })
    this.#closed = once(this.#child, 'close').finally(() => {
      this.#isClosed = true
      this.#wake()
    })
    const { stdout, stderr } = this.#child
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.#take(line))
    if (stderr) createInterface({ input: stderr }).on('line', (line) => this.#keep(line))
    this.#child.stdin?.on('error', () => undefined)
  }

  /** The last lines that the peer wrote to standard error: libav's warnings and errors. */
  get messages(): readonly string[] {
    return this.#messages
  }

  /** Waits for the event of this name and gives its other fields. Throws when the peer reports `failed`, or ends without it. */
  async event(name: string): Promise<unknown> {
    for (;;) {
      const found = this.#events.find(({ event }) => event === name || event === 'failed')
      if (found?.event === name) return found
      const said = this.#messages.length > 0 ? `\n${this.#messages.join('\n')}` : ''
      if (found) throw new Error(`peer failed: ${'message' in found ? String(found.message) : 'without a reason'}${said}`)
      if (this.#isClosed)
        throw new Error(`peer ended (${this.#child.exitCode ?? this.#child.signalCode}) without "${name}"${said}`)
      await this.#change()
    }
  }

  /** Asks the peer to end in good order. */
  stop(): void {
    this.#child.stdin?.end()
  }

  /** Ends the peer without a farewell, as a crash or a power cut would. Returns when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        before()
        resolve()
      }
    })
  }

  #take(line: string): void {
    this.#events.push(JSON.parse(line))
    const wake = this.#wake
    this.#wake = () => undefined
    wake()
  }

  #keep(line: string): void {
    this.#messages.push(line)
    if (this.#messages.length > keptLines) this.#messages.shift()
  }
}
