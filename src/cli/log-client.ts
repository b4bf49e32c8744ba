import {
  groupListSchema,
  groupResetAnswerSchema,
  groupViewSchema,
  producedSchema,
  recordPageSchema,
  topicListSchema,
  topicViewSchema,
  type ConsumeQuery,
  type GroupReset,
  type GroupResetAnswer,
  type GroupSummary,
  type GroupView,
  type Produced,
  type ProduceQuery,
  type RecordPage,
  type TopicCreate,
  type TopicSummary,
  type TopicView,
} from '#api/log-contract.ts'
import { allPages, type ApiClient } from './client.ts'

/** What `consume` asks for. */
export type RecordQuery = Pick<ConsumeQuery, 'partition' | 'offset' | 'at' | 'cursor' | 'group' | 'limit' | 'waitMs' | 'as'>
export type NewOffset = { readonly partition: number; readonly offset: number }

/** The event log of a running server: its topics, records and consumer groups. Fails as `ApiClient` does. */
export class LogClient {
  readonly #api: ApiClient

  constructor(api: ApiClient) {
    this.#api = api
  }

  listTopics({ search }: { search?: string | undefined } = {}): Promise<TopicSummary[]> {
    return allPages((page) => this.#api.ask('topics', topicListSchema, { query: { ...page, search } }))
  }

  getTopic(name: string): Promise<TopicView> {
    return this.#api.ask(topicPath(name), topicViewSchema)
  }

  createTopic(topic: TopicCreate): Promise<TopicView> {
    return this.#api.ask('topics', topicViewSchema, { method: 'POST', body: topic })
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#api.send(topicPath(name), { method: 'DELETE' })
  }

  /** Resolves when the records are as durable as asked for. */
  produce(topic: string, records: readonly unknown[], query: ProduceQuery): Promise<Produced> {
    return this.#api.ask(`${topicPath(topic)}/records`, producedSchema, { method: 'POST', query, body: { records } })
  }

  readRecords(topic: string, query: RecordQuery, signal: AbortSignal): Promise<RecordPage> {
    return this.#api.ask(`${topicPath(topic)}/records`, recordPageSchema, { query: { ...query, format: 'json' }, signal })
  }

  listGroups({ search }: { search?: string | undefined } = {}): Promise<GroupSummary[]> {
    return allPages((page) => this.#api.ask('groups', groupListSchema, { query: { ...page, search } }))
  }

  getGroup(group: string): Promise<GroupView> {
    return this.#api.ask(groupPath(group), groupViewSchema)
  }

  resetGroup(group: string, reset: GroupReset): Promise<GroupResetAnswer> {
    return this.#api.ask(`${groupPath(group)}/reset`, groupResetAnswerSchema, { method: 'POST', body: reset })
  }

  async commitOffsets(group: string, { topic, offsets }: { topic: string; offsets: readonly NewOffset[] }): Promise<void> {
    await this.#api.send(`${groupPath(group)}/offsets`, { method: 'POST', body: { topic, offsets } })
  }
}

function topicPath(name: string): string {
  return `topics/${encodeURIComponent(name)}`
}

function groupPath(group: string): string {
  return `groups/${encodeURIComponent(group)}`
}
