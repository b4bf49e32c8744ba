import { onMounted, onUnmounted, type Ref, ref } from 'vue'

/** Whether the page is seen: not while its tab is behind another, or the phone sleeps. */
export function usePageSeen(): Readonly<Ref<boolean>> {
  const isSeen = ref(!document.hidden)
  const note = (): void => {
    isSeen.value = !document.hidden
  }
  onMounted(() => document.addEventListener('visibilitychange', note))
  onUnmounted(() => document.removeEventListener('visibilitychange', note))
  return isSeen
}
