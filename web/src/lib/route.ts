import { computed, type ComputedRef, ref } from 'vue'

export type Route = { kind: 'streams' } | { kind: 'stream'; name: string }

const hash = ref(location.hash)
window.addEventListener('hashchange', () => {
  hash.value = location.hash
})

/** The page that the address names: `#/` or `#/streams/<name>`. */
export function useRoute(): ComputedRef<Route> {
  return computed(() => parse(hash.value))
}

export function streamLink(name: string): string {
  return `#/streams/${encodeURIComponent(name)}`
}

function parse(text: string): Route {
  const [, name] = /^#\/streams\/([^/]+)$/.exec(text) ?? []
  if (name === undefined) return { kind: 'streams' }
  try {
    return { kind: 'stream', name: decodeURIComponent(name) }
  } catch {
    return { kind: 'stream', name }
  }
}
