import type { LogAgent } from '#eventlog/agent.ts'
import type { LogSettings } from '#eventlog/settings.ts'
import { toAppError } from '#lib/errors.ts'
import type { Life } from '../../support/sim-life.ts'
import { checkGivenBack } from './final-check.ts'
import { Violation } from './model.ts'
import type { Machine, World } from './world.ts'

/** An agent, and the life in which it runs: what it answers after that nobody hears. */
export type Running = { readonly agent: LogAgent; readonly life: Life }

/** Starts the process of a machine again whenever it ends, as a service manager does. */
export class Supervisor {
  readonly #world: World
  readonly #machine: Machine
  readonly #settings: Partial<LogSettings>
  readonly #random: () => number
  #running: Running | undefined
  #isRestartWanted = false
  #isStopping = false
  #isExact = false

  constructor({ world, machine, settings }: { world: World; machine: Machine; settings: Partial<LogSettings> }) {
    this.#world = world
    this.#machine = machine
    this.#settings = settings
    this.#random = world.random('supervisor')
  }

  /** Undefined while none is up. */
  get running(): Running | undefined {
    return this.#running?.life.hasEnded() ? undefined : this.#running
  }

  /** A log is up, and not about to stop. */
  get isSteady(): boolean {
    return this.running !== undefined && this.running.agent.fault === undefined && !this.#isStopping && !this.#isRestartWanted
  }

  /** Asks for a stop in order, and another start. */
  restart(): void {
    this.#isRestartWanted = true
  }

  /** From now on nothing is in the way of a stop. */
  expectOrder(): void {
    this.#isExact = true
  }

  async run(): Promise<void> {
    const { time } = this.#world
    for (;;) {
      const life = this.#world.start(this.#machine)
      const running = await this.#open(life)
      if (running) {
        this.#running = running
        this.#isStopping = false
        this.#isRestartWanted = false
        await this.#watch(running)
        this.#running = undefined
      }
      if (!life.hasEnded()) this.#world.crash(this.#machine, 'kill')
      await time.sleep(10 + this.#random() * 500)
    }
  }

  async #open(life: Life): Promise<Running | undefined> {
    const { time } = this.#world
    for (let attempt = 1; attempt <= 3; attempt++) {
      try {
        const opened = await life.outcome(this.#world.open(this.#machine, this.#settings))
        if (opened) this.#world.note('started')
        return opened && { agent: opened.value, life }
      } catch (thrown) {
        const error = toAppError(thrown)
        this.#world.note(`not started: ${error.code} ${error.message}`)
        const isExpected =
          ['LOG_UNAVAILABLE', 'DATABASE_UNAVAILABLE', 'OBJECTS_UNAVAILABLE'].includes(error.code) ||
          (error.code === 'LOG_DAMAGED' && this.#world.isDamaged)
        if (!isExpected)
          this.#world.fail(new Violation(`the log does not start: ${error.code} ${error.message}`, { cause: thrown }))
        if (life.hasEnded() || error.code === 'LOG_UNAVAILABLE') return undefined
        await time.sleep(this.#random() * 1000)
      }
    }
    return undefined
  }

  /** Until the process ends, or should end: a write-ahead log that has failed needs a new one. */
  async #watch({ agent, life }: Running): Promise<void> {
    while (!life.hasEnded()) {
      await this.#world.time.sleep(100)
      if (life.hasEnded() || (!agent.fault && !this.#isRestartWanted)) continue
      this.#isStopping = true
      this.#world.note(agent.fault ? 'stopping: the write-ahead log has failed' : 'stopping')
      try {
        await life.outcome(agent[Symbol.asyncDispose]())
        this.#world.note('stopped')
        if (this.#isExact) await checkGivenBack(this.#world)
      } catch (error) {
        if (error instanceof Violation) throw error
        if (!agent.fault) this.#world.note(`stopped with ${toAppError(error).code}`)
      }
      return
    }
  }
}
