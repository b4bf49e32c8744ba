import { computed, onMounted, onUnmounted, type Ref, ref, shallowRef, watch } from 'vue'
import { loadRecords } from './log-api.ts'
import type { RecordFilter } from './record-filter.ts'
import { RecordTail, type TailPlace, type TailView } from './record-tail.ts'
import { usePageSeen } from '../use-page-seen.ts'

const typingMs = 250

export type Tail = {
  readonly view: Ref<TailView>
  /** Nothing moves: it was paused, or a record is open. */
  readonly isResting: Readonly<Ref<boolean>>
  readonly opened: Readonly<Ref<ReadonlySet<string>>>
  /** Begins anew there. */
  open(place: TailPlace): void
  /** Shows what comes after a full list. */
  goOn(): void
  pause(): void
  /** Moves again; what is open closes. */
  resume(): void
  /** Opens or closes a record. */
  toggle(id: string): void
}

/** The records of a topic, read and followed while the page is seen. */
export function useTail(topic: string, filter: Ref<RecordFilter>): Tail {
  const view: Ref<TailView> = shallowRef({ phase: 'loading', rows: [], problem: '', note: '', readCount: 0, behindCount: 0 })
  const isPaused = ref(false)
  const isSeen = usePageSeen()
  const opened = shallowRef<ReadonlySet<string>>(new Set())
  const isResting = computed(() => isPaused.value || opened.value.size > 0)
  const isWanted = computed(() => isSeen.value && !isResting.value)
  let timer: number | undefined

  const tail = new RecordTail({
    load: (query, signal) => loadRecords(topic, query, signal),
    wait,
    onChange: (next) => {
      view.value = next
    },
  })

  watch(isWanted, (wanted) => tail.setWanted(wanted))
  watch(filter, (wanted) => {
    window.clearTimeout(timer)
    timer = window.setTimeout(() => {
      opened.value = new Set()
      tail.filter(wanted)
    }, typingMs)
  })
  onMounted(() => tail.setWanted(isWanted.value))
  onUnmounted(() => {
    window.clearTimeout(timer)
    tail.setWanted(false)
  })
  return {
    view,
    isResting,
    opened,
    open(place) {
      opened.value = new Set()
      isPaused.value = false
      tail.open(place)
    },
    goOn() {
      opened.value = new Set()
      tail.goOn()
    },
    pause() {
      isPaused.value = true
    },
    resume() {
      isPaused.value = false
      opened.value = new Set()
    },
    toggle(id) {
      opened.value = new Set(opened.value.has(id) ? [...opened.value].filter((one) => one !== id) : [...opened.value, id])
    },
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      window.clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = window.setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
