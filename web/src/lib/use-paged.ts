import { computed, type ComputedRef, type Ref, ref } from 'vue'

/** Which part of a long list is shown. */
export type Paging = {
  /** From 1. */
  readonly from: number
  readonly to: number
  /** Absent while nobody knows. */
  readonly total?: number
  readonly hasBefore: boolean
  readonly hasAfter: boolean
}

/** A list that is all there, shown in pages. */
export function usePaged<T>(
  items: Ref<readonly T[]>,
  size: number,
): { shown: ComputedRef<readonly T[]>; paging: ComputedRef<Paging>; move(direction: -1 | 1): void } {
  const wanted = ref(0)
  const page = computed(() => Math.min(wanted.value, Math.max(0, Math.ceil(items.value.length / size) - 1)))
  const shown = computed(() => items.value.slice(page.value * size, (page.value + 1) * size))
  const paging = computed(() => {
    const total = items.value.length
    const from = page.value * size
    return { from: from + 1, to: from + shown.value.length, total, hasBefore: from > 0, hasAfter: from + size < total }
  })
  const move = (direction: -1 | 1): void => {
    wanted.value = page.value + direction
  }
  return { shown, paging, move }
}
