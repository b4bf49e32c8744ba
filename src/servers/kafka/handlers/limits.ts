/** The longest that a client may have us wait. */
export const maxTimeoutMs = 300_000
/** Partitions of one request that are worked on at the same time, where that may mean to read from the object store. */
export const maxAtOnce = 16
