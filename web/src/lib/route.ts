import { computed, type ComputedRef, ref } from 'vue'

export type Route =
  | { readonly kind: 'streams' | 'topics' | 'groups' | 'jobs' | 'workers' | 'scenarios' }
  | { readonly kind: 'stream' | 'topic' | 'group' | 'job'; readonly name: string }

/** Lists, and what one of them is called where it has a page of its own. */
const lists = {
  streams: 'stream',
  topics: 'topic',
  groups: 'group',
  jobs: 'job',
  workers: undefined,
  scenarios: undefined,
} as const

const hash = ref(location.hash)
window.addEventListener('hashchange', () => {
  hash.value = location.hash
})

/**
 * The page that the address names: `#/`, `#/streams/<name>`, `#/topics`, `#/topics/<name>`, `#/groups`, `#/groups/<id>`, `#/jobs`, `#/jobs/<id>`,
 * `#/workers`, `#/scenarios`.
 */
export function useRoute(): ComputedRef<Route> {
  return computed(() => parse(hash.value))
}

export function streamLink(name: string): string {
  return `#/streams/${encodeURIComponent(name)}`
}

export function topicLink(name: string): string {
  return `#/topics/${encodeURIComponent(name)}`
}

export function groupLink(id: string): string {
  return `#/groups/${encodeURIComponent(id)}`
}

export function jobLink(id: string): string {
  return `#/jobs/${encodeURIComponent(id)}`
}

export function goTo(link: string): void {
  location.hash = link
}

function parse(text: string): Route {
  const [, list = '', name] = /^#\/([a-z]+)(?:\/([^/]+))?$/.exec(text) ?? []
  if (!isList(list)) return { kind: 'streams' }
  const one = lists[list]
  return name === undefined || one === undefined ? { kind: list } : { kind: one, name: decoded(name) }
}

function isList(text: string): text is keyof typeof lists {
  return Object.hasOwn(lists, text)
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
