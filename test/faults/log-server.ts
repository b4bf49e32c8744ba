import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A slow disk is killed more often between a write and its sync. */
export type Disk = 'quick' | 'slow'

/** The server as a process of its own, in one directory and on one port. */
export class ServerProcess implements AsyncDisposable {
  readonly #directory: string
  readonly #disk: Disk
  #child: ChildProcess | undefined
  port = 0
  kills = 0

  constructor(directory: string, disk: Disk = 'quick') {
    this.#directory = directory
    this.#disk = disk
  }

  /** `host:port`, for clients. */
  get brokers(): string {
    return `127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const child = this.#spawn()
    const listening = new Promise<number>((resolve) => {
      child.once('message', (message) => resolve(portIn(message)))
    })
    const ended = once(child, 'exit').then(([code]) => assert.fail(`the server ended with ${String(code)} in place of starting`))
    ended.catch(() => undefined)
    this.port = await Promise.race([listening, ended])
  }

  async killWhileStarting(afterMs: number): Promise<void> {
    this.#spawn()
    await delay(afterMs)
    await this.kill()
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    const [, signal] = await gone
    assert.equal(signal, 'SIGKILL')
    this.kills += 1
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #spawn(): ChildProcess {
    const args = [this.#directory, String(this.port), this.#disk]
    this.#child = fork(join(import.meta.dirname, 'log-server-child.ts'), args, {
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    return this.#child
  }
}

function portIn(message: unknown): number {
  if (typeof message === 'object' && message !== null && 'port' in message) return Number(message.port)
  throw new Error(`not what the server says: ${JSON.stringify(message)}`)
}
