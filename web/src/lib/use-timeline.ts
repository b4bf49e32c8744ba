import { computed, type ComputedRef, onBeforeUnmount, onMounted, type Ref, ref, shallowRef } from 'vue'
import { loadTimeline, type TimelineRange } from './api.ts'
import { messageOf } from './format.ts'
import type { TimeWindow } from './timeline.ts'

const refreshMs = 5000
const firstSpanMs = 600_000

export type RecordedTimeline = {
  readonly window: ComputedRef<TimeWindow>
  /** The window ends now and moves on with it. */
  readonly isFollowing: ComputedRef<boolean>
  readonly ranges: Ref<readonly TimelineRange[]>
  readonly isLoaded: Ref<boolean>
  readonly problem: Ref<string>
  setSpan(spanMs: number): void
  /** Moves the window by half its length: -1 to the past, 1 to the present, where it stops. */
  move(direction: -1 | 1): void
}

/** What is recorded of a stream in a window of time, kept fresh. */
export function useTimeline(name: string): RecordedTimeline {
  const nowMs = ref(Date.now())
  const spanMs = ref(firstSpanMs)
  /** Where the window ends; undefined is now. */
  const fixedEndMs = ref<number>()
  const window_ = computed(() => {
    const toMs = fixedEndMs.value ?? nowMs.value
    return { fromMs: toMs - spanMs.value, toMs }
  })
  const ranges: RecordedTimeline['ranges'] = shallowRef([])
  const isLoaded = ref(false)
  const problem = ref('')
  let timer: number | undefined
  let turn = 0

  async function refresh(): Promise<void> {
    window.clearTimeout(timer)
    const mine = ++turn
    nowMs.value = Date.now()
    const { fromMs, toMs } = window_.value
    try {
      const found = await loadTimeline(name, fromMs, toMs)
      if (mine !== turn) return
      ranges.value = found
      problem.value = ''
    } catch (error) {
      if (mine !== turn) return
      problem.value = messageOf(error)
    }
    isLoaded.value = true
    timer = window.setTimeout(() => void refresh(), refreshMs)
  }

  onMounted(() => void refresh())
  onBeforeUnmount(() => {
    turn += 1
    window.clearTimeout(timer)
  })
  return {
    window: window_,
    isFollowing: computed(() => fixedEndMs.value === undefined),
    ranges,
    isLoaded,
    problem,
    setSpan(ms) {
      const middleMs = fixedEndMs.value === undefined ? undefined : fixedEndMs.value - spanMs.value / 2
      spanMs.value = ms
      if (middleMs !== undefined) fixedEndMs.value = endOrNow(middleMs + ms / 2)
      void refresh()
    },
    move(direction) {
      fixedEndMs.value = endOrNow(window_.value.toMs + (direction * spanMs.value) / 2)
      void refresh()
    },
  }
}

function endOrNow(endMs: number): number | undefined {
  return endMs >= Date.now() ? undefined : endMs
}
