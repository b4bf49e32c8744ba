/** Runs `work` on all items, at most `limit` at a time. The first error ends it, after what is under way. */
export async function concurrently<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  const faults: unknown[] = []
  for await (const item of items) {
    const one = work(item)
      .catch((error: unknown) => void faults.push(error))
      .finally(() => running.delete(one))
    running.add(one)
    if (running.size >= limit) await Promise.race(running)
    if (faults.length > 0) break
  }
  await Promise.all(running)
  if (faults.length > 0) throw faults[0]
}

/** What `work` makes of the items, in their order; at most `limit` are under way ahead of who takes them. */
export async function* ahead<T, R>(items: AsyncIterable<T>, limit: number, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const running: Promise<R>[] = []
  for await (const item of items) {
    const one = work(item)
    // Who leaves early does not take it; who stays gets the error in its turn.
    one.catch(() => {})
    running.push(one)
    if (running.length >= limit) yield* running.splice(0, 1)
  }
  yield* running
}
