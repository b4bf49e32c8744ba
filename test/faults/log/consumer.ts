import type { AppError } from '#lib/errors.ts'
import { Violation } from './model.ts'
import type { Scenario } from './scenario.ts'

/** What one consumer was told of a partition: marks that must not go back (I13). */
type Marks = { offset: number; highWatermark: number; logStart: number }

/** Follows partitions, one at a time, and now and then reads something again. */
export class Consumer {
  readonly #scenario: Scenario
  readonly #random: () => number
  readonly #marks = new Map<number, Marks>()

  constructor({ scenario, name }: { scenario: Scenario; name: string }) {
    this.#scenario = scenario
    this.#random = scenario.world.random(`consumer ${name}`)
  }

  async run(): Promise<void> {
    const { time } = this.#scenario.world
    while (!this.#scenario.isOver) {
      await time.sleep(this.#random() * 1500)
      const { topics } = this.#scenario
      const topic = topics[Math.floor(this.#random() * topics.length)]
      if (!topic?.isLive) continue
      await this.#read({ topic: topic.name, partition: Math.floor(this.#random() * topic.partitionCount) })
    }
  }

  async #read(ref: { topic: string; partition: number }): Promise<void> {
    const { running, world } = this.#scenario
    const id = running?.agent.topics.find(ref.topic)?.partitions[ref.partition]?.id
    if (!running || id === undefined) return
    const marks = this.#marks.get(id) ?? { offset: 0, highWatermark: 0, logStart: 0 }
    this.#marks.set(id, marks)
    const isAgain = this.#random() < 0.3
    const offset = isAgain ? Math.floor(this.#random() * marks.offset) : marks.offset
    const sizes = { maxBytes: 1 + Math.floor(this.#random() ** 2 * 20_000), minBytes: Math.floor(this.#random() * 3) }
    try {
      const request = { partitions: [{ ...ref, offset, maxBytes: 1_000_000 }], ...sizes, maxWaitMs: this.#random() * 2000 }
      const answer = await running.life.outcome(running.agent.fetch(request))
      const [fetched] = answer?.value ?? []
      if (!fetched || world.model.partition(id).isDeleted) return
      this.#advance(id, marks, fetched)
      if (fetched.error) {
        this.#refused(id, { offset, marks, error: fetched.error })
        return
      }
      const next = world.model.shown(world.model.partition(id), offset, fetched)
      if (!isAgain) marks.offset = next
    } catch (error) {
      world.fail(error)
    }
  }

  #advance(id: number, marks: Marks, { highWatermark, logStartOffset }: { highWatermark: number; logStartOffset: number }): void {
    const { world } = this.#scenario
    if (highWatermark < marks.highWatermark && !world.isDamaged) {
      throw new Violation(`I13: high watermark of partition ${id} went from ${marks.highWatermark} back to ${highWatermark}`)
    }
    if (logStartOffset < marks.logStart) {
      throw new Violation(`I13: log start of partition ${id} went from ${marks.logStart} back to ${logStartOffset}`)
    }
    marks.highWatermark = Math.max(highWatermark, marks.highWatermark)
    marks.logStart = logStartOffset
  }

  #refused(id: number, { offset, marks, error }: { offset: number; marks: Marks; error: AppError }): void {
    const { world } = this.#scenario
    const isExpected =
      ['OBJECTS_UNAVAILABLE', 'DATABASE_UNAVAILABLE', 'LOG_UNAVAILABLE'].includes(error.code) ||
      (error.code === 'LOG_DAMAGED' && world.isDamaged)
    if (isExpected) return
    if (error.code === 'OFFSET_OUT_OF_RANGE' && (offset < marks.logStart || world.isDamaged)) {
      marks.offset = Math.max(marks.offset, marks.logStart)
      return
    }
    if (error.code === 'TOPIC_NOT_FOUND' || error.code === 'PARTITION_NOT_FOUND') return
    throw new Violation(`reading partition ${id} at ${offset}: ${error.code} ${error.message}`, { cause: error })
  }
}
