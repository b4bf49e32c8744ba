import { computed, onUnmounted, type Ref, ref, watch } from 'vue'
import type { ListQuery } from './log-api.ts'
import type { Paging } from '../use-paged.ts'
import { type Polled, usePolled } from '../use-polled.ts'

const searchMs = 250
const pollMs = 3000

type Page<T> = { readonly items: readonly T[]; readonly nextCursor?: string }

export type Searched<T> = Polled<Page<T>> & {
  /** What is typed; the list follows soon. */
  readonly search: Ref<string>
  /** What the list that is shown was searched for. */
  readonly shownSearch: Ref<string>
  readonly paging: Ref<Paging>
  move(direction: -1 | 1): void
}

/** A long list of the server, searched there and seen page by page, kept fresh. When `filter` changes, it begins anew. */
export function useSearched<T>(
  search: Ref<string>,
  load: (query: ListQuery, signal: AbortSignal) => Promise<Page<T>>,
  filter?: Ref<unknown>,
): Searched<T> {
  /** Cursors of the pages before this one, and how many items they had. */
  const before = ref<{ cursor: string | undefined; count: number }[]>([])
  const cursor = ref<string>()
  const shownSearch = ref('')
  let timer: number | undefined

  const polled = usePolled<Page<T>>({
    async load(signal) {
      const text = search.value.trim()
      const page = await load({ search: text, cursor: cursor.value }, signal)
      if (!signal.aborted) shownSearch.value = text
      return page
    },
    everyMs: pollMs,
  })
  const paging = computed(() => {
    const earlier = before.value.reduce((sum, { count }) => sum + count, 0)
    const { items = [], nextCursor } = polled.value.value ?? {}
    return { from: earlier + 1, to: earlier + items.length, hasBefore: earlier > 0, hasAfter: nextCursor !== undefined }
  })

  function move(direction: -1 | 1): void {
    const page = polled.value.value
    if (direction === -1) cursor.value = before.value.pop()?.cursor
    else if (page?.nextCursor !== undefined) {
      before.value.push({ cursor: cursor.value, count: page.items.length })
      cursor.value = page.nextCursor
    }
    void polled.refresh()
  }

  function beginAnew(): void {
    before.value = []
    cursor.value = undefined
    void polled.refresh()
  }

  watch(search, () => {
    window.clearTimeout(timer)
    timer = window.setTimeout(beginAnew, searchMs)
  })
  if (filter) watch(filter, beginAnew)
  onUnmounted(() => window.clearTimeout(timer))
  return { ...polled, search, shownSearch, paging, move }
}
