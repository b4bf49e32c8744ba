import type { Static } from 'typebox'
import type {
  groupListSchema,
  GroupReset,
  GroupResetAnswer,
  GroupSummary,
  GroupView,
  PartitionView,
  Produced,
  RecordPage,
  RecordView,
  TopicCreate,
  topicChangeSchema,
  topicListSchema,
  TopicSummary,
  TopicView,
} from '#api/log-contract.ts'
import { request, send } from '../api.ts'

export type { GroupReset, GroupResetAnswer, GroupSummary, GroupView, PartitionView, RecordPage, RecordView, TopicCreate }
export type { TopicSummary, TopicView }
export type TopicConfig = TopicView['config']
type TopicChange = Static<typeof topicChangeSchema>

/** What a page of a list shows. */
export type ListQuery = { readonly search: string; readonly cursor: string | undefined }
/** A record to be made. Without a value it is a tombstone, without a partition the server chooses one. */
export type NewRecord = {
  readonly key?: string
  readonly value: string | null
  readonly headers?: readonly { readonly key: string; readonly value: string }[]
  readonly partition?: number
}
/** Where reading begins or goes on, as the API has it. */
export type RecordsQuery = {
  readonly partition?: number | undefined
  readonly offset?: number
  readonly at?: string
  readonly cursor?: string
  readonly limit: number
  readonly maxBytes?: number
  readonly waitMs?: number
}

const topicsPerPage = 100
/** Their lag is asked for one by one. */
const groupsPerPage = 25
const lagsAtOnce = 4

const topicPath = (name: string): string => `/api/v1/topics/${encodeURIComponent(name)}`
const groupPath = (id: string): string => `/api/v1/groups/${encodeURIComponent(id)}`

/** A page of the topics by name. This and all that follow throw an `Error` whose message is for people. */
export function loadTopics(query: ListQuery, signal: AbortSignal): Promise<Static<typeof topicListSchema>> {
  return request(`/api/v1/topics?${listQuery(query, topicsPerPage)}`, { signal })
}

export function loadTopic(name: string, signal: AbortSignal): Promise<TopicView> {
  return request(topicPath(name), { signal })
}

export function createTopic(topic: TopicCreate): Promise<TopicView> {
  return request('/api/v1/topics', { method: 'POST', body: topic })
}

export function changeTopic(name: string, change: TopicChange): Promise<TopicView> {
  return request(topicPath(name), { method: 'PATCH', body: change })
}

export async function deleteTopic(name: string): Promise<void> {
  await send(topicPath(name), { method: 'DELETE' })
}

/** Returns where the record went. */
export async function produceRecord(topic: string, record: NewRecord): Promise<{ partition: number; offset: number }> {
  const { offsets }: Produced = await request(`${topicPath(topic)}/records`, { method: 'POST', body: { records: [record] } })
  const [{ partition, baseOffset } = { partition: 0, baseOffset: 0 }] = offsets
  return { partition, offset: baseOffset }
}

/** The next records; waits for some up to `waitMs`. */
export function loadRecords(topic: string, query: RecordsQuery, signal: AbortSignal): Promise<RecordPage> {
  return request(recordsUrl(topic, query), { signal, timeoutMs: 15_000 + (query.waitMs ?? 0) })
}

/** Where the API has records, such as one of them for itself. */
export function recordsUrl(topic: string, query: RecordsQuery): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  return `${topicPath(topic)}/records?${new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString()}`
}

/** A group in the list. The lag is absent when it went away meanwhile. */
export type ListedGroup = GroupSummary & { readonly lag: number | undefined; readonly topics: readonly string[] }

/** A page of the groups by name. */
export async function loadGroups(query: ListQuery, signal: AbortSignal): Promise<{ items: ListedGroup[]; nextCursor?: string }> {
  const page: Static<typeof groupListSchema> = await request(`/api/v1/groups?${listQuery(query, groupsPerPage)}`, { signal })
  const items: ListedGroup[] = []
  for (let at = 0; at < page.items.length; at += lagsAtOnce) {
    items.push(...(await Promise.all(page.items.slice(at, at + lagsAtOnce).map((group) => withLag(group, signal)))))
  }
  return { ...page, items }
}

export function loadGroup(id: string, signal: AbortSignal): Promise<GroupView> {
  return request(groupPath(id), { signal })
}

export function resetGroup(id: string, reset: GroupReset): Promise<GroupResetAnswer> {
  return request(`${groupPath(id)}/reset`, { method: 'POST', body: reset })
}

export async function deleteGroup(id: string): Promise<void> {
  await send(groupPath(id), { method: 'DELETE' })
}

async function withLag(group: GroupSummary, signal: AbortSignal): Promise<ListedGroup> {
  const view = await loadGroup(group.group, signal).catch((error: unknown) => {
    if (signal.aborted) throw error
  })
  return { ...group, lag: view?.lag, topics: [...new Set(view?.offsets.map(({ topic }) => topic))] }
}

function listQuery({ search, cursor }: ListQuery, limit: number): string {
  const query = new URLSearchParams({ limit: String(limit) })
  if (search !== '') query.set('search', search)
  if (cursor !== undefined) query.set('cursor', cursor)
  return query.toString()
}
