import type { LogAgent } from '#eventlog/agent.ts'
import type { TopicConfig } from '#eventlog/topic-config.ts'
import { AppError, toAppError, type ErrorCode } from '#lib/errors.ts'
import { Violation } from './model.ts'
import type { Scenario, TopicState } from './scenario.ts'

/** Nothing is deleted by age unless somebody asks for it. */
const keepAll = { retentionMs: -1, retentionBytes: -1 }
const unavailable: readonly ErrorCode[] = ['DATABASE_UNAVAILABLE', 'SHUTTING_DOWN', 'LOG_UNAVAILABLE']

/** Makes, changes and deletes topics, and deletes records. What fails is tried again until it is done. */
export class Admin {
  readonly #scenario: Scenario
  readonly #random: () => number
  #isBusy = true

  constructor(scenario: Scenario) {
    this.#scenario = scenario
    this.#random = scenario.world.random('admin')
  }

  /** Something that it has begun is not done yet. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  async run(): Promise<void> {
    const scenario = this.#scenario
    for (const topic of scenario.topics) await this.#create(topic)
    for (;;) {
      this.#isBusy = false
      await scenario.world.time.sleep(this.#random() * 7000)
      if (scenario.isEnding) return
      this.#isBusy = true
      const topic = scenario.topics[Math.floor(this.#random() * scenario.topics.length)]
      if (topic) await this.#act(topic)
    }
  }

  async #act(topic: TopicState): Promise<void> {
    const chance = this.#random()
    if (!topic.isLive) return await this.#create(topic)
    if (chance < 0.4) return await this.#deleteRecords(topic)
    if (chance < 0.5) return await this.#configure(topic, { retentionBytes: Math.floor(this.#random() * 20_000) })
    if (chance < 0.55) return await this.#configure(topic, { retentionMs: Math.floor(this.#random() * 100_000) })
    if (chance < 0.7) return await this.#configure(topic, { durability: this.#random() < 0.5 ? 'wal' : 'object' })
    if (chance < 0.8)
      return await this.#configure(topic, { timestampType: this.#random() < 0.5 ? 'LogAppendTime' : 'CreateTime' })
    if (chance < 0.85 && topic.partitionCount < 3) return await this.#addPartition(topic)
    if (topic.isDeletable) await this.#delete(topic)
  }

  async #create(topic: TopicState): Promise<void> {
    const config: Partial<TopicConfig> = { ...keepAll, durability: topic.durability }
    topic.partitionCount = 1 + Math.floor(this.#random() * 2)
    await this.#insist(`create ${topic.name}`, 'TOPIC_EXISTS', async ({ topics }) => {
      await topics.create({ name: topic.name, partitionCount: topic.partitionCount, config })
    })
    topic.generation += 1
    topic.isLive = true
  }

  async #delete(topic: TopicState): Promise<void> {
    topic.isLive = false
    await this.#insist(`delete ${topic.name}`, 'TOPIC_NOT_FOUND', async ({ topics }) => {
      this.#scenario.world.model.deleting(topics.get(topic.name).id)
      await topics.delete(topic.name)
    })
  }

  async #addPartition(topic: TopicState): Promise<void> {
    const total = topic.partitionCount + 1
    await this.#insist(`add partition ${total} of ${topic.name}`, 'TOPIC_INVALID', ({ topics }) =>
      topics.addPartitions(topic.name, total),
    )
    topic.partitionCount = total
  }

  async #configure(topic: TopicState, changes: Partial<TopicConfig>): Promise<void> {
    const isDeleting = (changes.retentionBytes ?? changes.retentionMs) !== undefined
    await this.#insist(`configure ${topic.name} ${JSON.stringify(changes)}`, undefined, async ({ topics }) => {
      if (isDeleting) this.#scenario.world.model.allowRetention(topics.get(topic.name).id)
      await topics.configure(topic.name, changes)
    })
  }

  async #deleteRecords(topic: TopicState): Promise<void> {
    const partition = Math.floor(this.#random() * topic.partitionCount)
    const part = this.#random()
    const { world } = this.#scenario
    await this.#insist(`delete records of ${topic.name}/${partition}`, undefined, async (agent) => {
      const { id, highWatermark, logStart } = agent.topics.get(topic.name).partition(partition)
      const model = world.model.partition(id)
      const offset = logStart + Math.floor(part * (highWatermark - logStart + 1))
      model.deletableEnd = Math.max(model.deletableEnd, offset)
      const deleted = await agent.deleteRecords({ topic: topic.name, partition }, offset)
      if (deleted < model.logStart) throw new Violation(`I13: deleting records before ${offset} answers ${deleted}`)
    })
  }

  /** Repeats until it is done; `done` is the error that means so when it comes after a try whose answer was lost. */
  async #insist(what: string, done: ErrorCode | undefined, step: (agent: LogAgent) => Promise<unknown>): Promise<void> {
    const { world } = this.#scenario
    for (let attempt = 1; !this.#scenario.isOver; attempt++) {
      const { running } = this.#scenario
      try {
        const outcome = running && (await running.life.outcome(step(running.agent)))
        if (outcome) {
          world.note(what)
          return
        }
      } catch (thrown) {
        const error = toAppError(thrown)
        world.note(`${what}: ${error.code} ${error.message}`)
        if (error.code === done && attempt > 1) return
        if (!(thrown instanceof AppError) || !unavailable.includes(error.code)) {
          world.fail(
            thrown instanceof Violation ? thrown : new Violation(`${what}: ${error.code} ${error.message}`, { cause: thrown }),
          )
          return
        }
      }
      await world.time.sleep(200 + this.#random() * 500)
    }
  }
}
