import { onMounted, onUnmounted, type Ref, ref, shallowRef } from 'vue'
import { loadStreams, type StreamView } from './api.ts'
import { followEvents } from './events.ts'
import { messageOf } from './format.ts'

const pollMs = 2000
/** Several events at once are one look. */
const gatherMs = 100

export type Streams = {
  readonly streams: Ref<readonly StreamView[] | undefined>
  /** Why the list is old; absent while all is well. */
  readonly problem: Ref<{ readonly message: string; readonly since: Date } | undefined>
  refresh(): Promise<void>
}

/** The list of streams, kept fresh while the page is seen: at once on every event, and every two seconds for the figures. */
export function useStreams(): Streams {
  const streams: Streams['streams'] = shallowRef()
  const problem: Streams['problem'] = ref()
  let timer: number | undefined
  let soonTimer: number | undefined
  let stopEvents: (() => void) | undefined

  async function refresh(): Promise<void> {
    window.clearTimeout(timer)
    try {
      streams.value = await loadStreams()
      problem.value = undefined
    } catch (error) {
      problem.value ??= { message: messageOf(error), since: new Date() }
    }
    window.clearTimeout(timer)
    if (!document.hidden) timer = window.setTimeout(() => void refresh(), pollMs)
  }

  function refreshSoon(): void {
    soonTimer ??= window.setTimeout(() => {
      soonTimer = undefined
      if (!document.hidden) void refresh()
    }, gatherMs)
  }

  onMounted(() => {
    void refresh()
    stopEvents = followEvents(refreshSoon)
    document.addEventListener('visibilitychange', refreshSoon)
  })
  onUnmounted(() => {
    window.clearTimeout(timer)
    window.clearTimeout(soonTimer)
    stopEvents?.()
    document.removeEventListener('visibilitychange', refreshSoon)
  })
  return { streams, problem, refresh }
}
