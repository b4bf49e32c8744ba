import type { Disk, DiskFile } from '#eventlog/wal/disk.ts'
import type { Timers } from '#lib/timers.ts'

/** One life of a process in a simulation. When it is over, nothing that it has begun goes on: what it waits for never comes. */
export class Life {
  readonly #ended = Promise.withResolvers<void>()
  #hasEnded = false

  hasEnded(): boolean {
    return this.#hasEnded
  }
  /** Resolves when it is over. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  end(): void {
    this.#hasEnded = true
    this.#ended.resolve()
  }

  /** Does something for the process: nothing of it is seen by a process that has ended. */
  async guard<T>(step: () => Promise<T>): Promise<T> {
    if (this.hasEnded()) return await never()
    try {
      const result = await step()
      return this.hasEnded() ? await never() : result
    } catch (error) {
      if (this.hasEnded()) return await never()
      throw error
    }
  }

  /** What somebody outside the process gets from it: undefined when it ended before. */
  async outcome<T>(answer: Promise<T>): Promise<{ readonly value: T } | undefined> {
    const wrapped = answer.then((value) => ({ value }))
    try {
      const outcome = await Promise.race([wrapped, this.ended.then(() => undefined)])
      return this.hasEnded() ? undefined : outcome
    } catch (error) {
      if (this.hasEnded()) return undefined
      throw error
    }
  }

  timers(timers: Timers): Timers {
    return {
      after: (delayMs, run) =>
        timers.after(delayMs, () => {
          if (!this.hasEnded()) run()
        }),
    }
  }

  /** The disk as this process has it; `before` is waited for in front of each operation. */
  disk(disk: Disk, before: () => Promise<void>): Disk {
    const perform = async <T>(step: () => Promise<T>): Promise<T> =>
      await this.guard(async () => {
        await before()
        return this.hasEnded() ? await never() : await step()
      })
    return {
      makeDirectory: (path) => perform(() => disk.makeDirectory(path)),
      list: (path) => perform(() => disk.list(path)),
      open: async (path, options) => this.#file(await perform(() => disk.open(path, options)), perform),
      rename: (from, to) => perform(() => disk.rename(from, to)),
      remove: (path) => perform(() => disk.remove(path)),
      syncDirectory: (path) => perform(() => disk.syncDirectory(path)),
      freeBytes: (path) => perform(() => disk.freeBytes(path)),
      lock: (path) => perform(() => disk.lock(path)),
    }
  }

  #file(file: DiskFile, perform: <T>(step: () => Promise<T>) => Promise<T>): DiskFile {
    return {
      sizeBytes: () => perform(() => file.sizeBytes()),
      read: (position, lengthBytes) => perform(() => file.read(position, lengthBytes)),
      write: (position, chunks) => perform(() => file.write(position, chunks)),
      writeSynced: (position, chunks) => perform(() => file.writeSynced(position, chunks)),
      writeZeros: (position, lengthBytes) => perform(() => file.writeZeros(position, lengthBytes)),
      truncate: (sizeBytes) => perform(() => file.truncate(sizeBytes)),
      sync: () => perform(() => file.sync()),
      [Symbol.asyncDispose]: () => perform(async () => await file[Symbol.asyncDispose]()),
    }
  }
}

/** A promise of its own each time: one for all would keep everything that ever waited for it in memory. */
export async function never(): Promise<never> {
  return await new Promise<never>(() => undefined)
}
