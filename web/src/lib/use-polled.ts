import { onMounted, onUnmounted, type Ref, ref, shallowRef, watch } from 'vue'
import { messageOf } from './format.ts'
import { usePageSeen } from './use-page-seen.ts'

/** Why what is shown is old, and since when. */
export type Problem = { readonly message: string; readonly since: Date }

export type Polled<T> = {
  readonly value: Ref<T | undefined>
  /** Absent while all is well. */
  readonly problem: Ref<Problem | undefined>
  /** What the last load threw; absent while all is well. */
  readonly error: Ref<unknown>
  /** Loads at once; what is being loaded is given up. */
  refresh(): Promise<void>
}

type Options<T> = {
  /** What to load. */
  readonly load: (signal: AbortSignal) => Promise<T>
  readonly everyMs: number | ((value: T) => number)
}

const retryMs = 2000

/** Something that is loaded again and again while the page is seen. */
export function usePolled<T>({ load, everyMs }: Options<T>): Polled<T> {
  const value: Ref<T | undefined> = shallowRef()
  const problem = ref<Problem>()
  const error = shallowRef<unknown>()
  const isSeen = usePageSeen()
  let timer: number | undefined
  let current: AbortController | undefined

  async function refresh(): Promise<void> {
    stop()
    const mine = new AbortController()
    current = mine
    try {
      const loaded = await load(mine.signal)
      if (mine.signal.aborted) return
      value.value = loaded
      problem.value = undefined
      error.value = undefined
    } catch (thrown) {
      if (mine.signal.aborted) return
      error.value = thrown
      problem.value ??= { message: messageOf(thrown), since: new Date() }
    }
    if (isSeen.value) timer = window.setTimeout(() => void refresh(), delayMs())
  }

  function delayMs(): number {
    if (typeof everyMs === 'number') return everyMs
    return value.value === undefined ? retryMs : everyMs(value.value)
  }

  function stop(): void {
    window.clearTimeout(timer)
    current?.abort()
  }

  onMounted(refresh)
  onUnmounted(stop)
  watch(isSeen, (seen) => {
    if (seen) void refresh()
    else window.clearTimeout(timer)
  })
  return { value, problem, error, refresh }
}
