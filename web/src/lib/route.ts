import { computed, type ComputedRef, ref } from 'vue'

export type Route =
  | { readonly kind: 'streams' | 'topics' | 'groups' }
  | { readonly kind: 'stream' | 'topic' | 'group'; readonly name: string }

const lists = { streams: 'stream', topics: 'topic', groups: 'group' } as const

const hash = ref(location.hash)
window.addEventListener('hashchange', () => {
  hash.value = location.hash
})

/** The page that the address names: `#/`, `#/streams/<name>`, `#/topics`, `#/topics/<name>`, `#/groups`, `#/groups/<id>`. */
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

export function goTo(link: string): void {
  location.hash = link
}

function parse(text: string): Route {
  const [, list = '', name] = /^#\/(streams|topics|groups)(?:\/([^/]+))?$/.exec(text) ?? []
  if (list !== 'streams' && list !== 'topics' && list !== 'groups') return { kind: 'streams' }
  return name === undefined ? { kind: list } : { kind: lists[list], name: decoded(name) }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
