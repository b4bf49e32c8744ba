import { flushCompileCache } from 'node:module'
import type { Loaded } from '#lib/config/load.ts'
import { showConfiguration } from '#lib/config/show.ts'
import { systemClock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import { settleStartupMemory } from '#lib/startup-memory.ts'
import { readVersion } from '#lib/version.ts'
import { Metrics } from '#ops/metrics.ts'
import { NodeParts, type PartContext } from './node-parts.ts'
import { changedSections, type Part, parts, partsOf, type Role, startOrder } from './roles.ts'
import { checkListenAddresses, type Settings, settingsSchema } from './settings.ts'

/** What a new configuration did. */
export type ReloadSummary = {
  /** Sections that differ, and streams as `streams.<name>`. */
  readonly changed: string[]
  /** Parts that were built anew. */
  readonly restarted: string[]
  /** Sections that take effect only when the process is started again. */
  readonly needsRestart: string[]
}

/** Where a node listens; what it does not run is absent. */
export type NodeAddresses = {
  readonly api?: string
  /** The same over TLS. */
  readonly apiTls?: string
  readonly rtsp?: string
  readonly kafka?: string
  readonly grpc?: string
  readonly metrics?: string
  /** Of a worker that runs by itself. */
  readonly worker?: string
}

/**
 * One process: the parts of its role, started in order, stopped in reverse.
 *
 *   settings ─► parts in start order ─► running ── reload ─► only what changed ── dispose ─► stopped in reverse
 */
export class MillraceNode implements AsyncDisposable {
  readonly #parts: NodeParts
  readonly #log: Logger
  readonly #context: PartContext
  /** What the parts that cannot be restarted were built from. */
  readonly #startedFrom: Settings
  #isDisposed = false

  private constructor(context: PartContext) {
    this.#context = context
    this.#startedFrom = context.settings
    this.#log = context.log
    this.#parts = new NodeParts(context, new Metrics({ version: context.identity.version }))
  }

  /** Starts all parts of the role. Throws `LISTEN_REFUSED`, `LISTEN_FAILED`, `DATABASE_UNAVAILABLE`, …; what was started is stopped again. */
  static async start({ loaded, role, log }: { loaded: Loaded<Settings>; role: Role; log: Logger }): Promise<MillraceNode> {
    checkListenAddresses(loaded.value)
    const context: PartContext = {
      settings: loaded.value,
      showConfiguration: () => showConfiguration(settingsSchema, loaded),
      identity: { version: readVersion(), startedAtMs: systemClock.nowMs(), roles: [role] },
      clock: systemClock,
      log,
    }
    const node = new MillraceNode(context)
    try {
      for (const part of startOrder(role)) {
        await node.#parts.start(part)
        // The compiled code that was read for it is not needed any more: the next part takes its place in memory.
        flushCompileCache()
      }
    } catch (error) {
      await node[Symbol.asyncDispose]()
      throw error
    }
    return node
  }

  get addresses(): NodeAddresses {
    return this.#parts.addresses
  }

  /**
   * Takes on a new configuration. Streams that it does not touch lose nothing. Throws `LISTEN_REFUSED` before anything changed, and
   * `LISTEN_FAILED` after what was restarted has gone back to the old one.
   */
  async reload(loaded: Loaded<Settings>): Promise<ReloadSummary> {
    checkListenAddresses(loaded.value)
    const sections = changedSections(this.#context.settings, loaded.value)
    const affected = partsOf(sections)
    const restarted = affected.filter((part) => parts[part].canRestart && this.#parts.isRunning(part))
    await this.#restart(restarted, {
      settings: loaded.value,
      showConfiguration: () => showConfiguration(settingsSchema, loaded),
    })
    const streams = await this.#parts.takeOn(loaded.value)
    const needsRestart = changedSections(this.#startedFrom, loaded.value).filter((section) =>
      partsOf([section]).some((part) => !parts[part].canRestart),
    )
    return { changed: [...sections, ...streams], restarted, needsRestart }
  }

  /** Builds parts anew from other settings; all of them from the old ones again when one cannot be. */
  async #restart(restarted: readonly Part[], next: Pick<PartContext, 'settings' | 'showConfiguration'>): Promise<void> {
    const { settings, showConfiguration } = this.#context
    const touched: Part[] = []
    Object.assign(this.#context, next)
    try {
      for (const part of restarted) {
        touched.push(part)
        await this.#parts.restart(part)
      }
    } catch (error) {
      Object.assign(this.#context, { settings, showConfiguration })
      for (const part of touched) await this.#parts.restart(part)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    await this.#parts.stopAll()
    this.#log.info('stopped')
  }
}

/** Starts a node in a process of its own; see `MillraceNode.start`. */
export async function startNode(options: { loaded: Loaded<Settings>; role: Role; log: Logger }): Promise<MillraceNode> {
  const node = await MillraceNode.start(options)
  settleStartupMemory()
  return node
}
