import { basename, dirname } from 'node:path'
import type { Disk, DiskFile } from '#eventlog/wal/disk.ts'
import { AppError } from '#lib/errors.ts'
import { SimFile } from './sim-file.ts'

const operations = [
  'list',
  'open',
  'rename',
  'remove',
  'syncDirectory',
  'freeBytes',
  'lock',
  'size',
  'read',
  'write',
  'truncate',
  'sync',
] as const
export type SimOperation = (typeof operations)[number]

/** Fails operations of one kind on paths that match, after the first `skip`, `times` times. */
export type SimFault = {
  readonly operation: SimOperation
  readonly code: 'EIO' | 'ENOSPC'
  readonly path?: RegExp
  readonly skip?: number
  readonly times?: number
}

type DirectoryChange = (names: Map<string, SimFile>) => void
type ActiveFault = { readonly fault: SimFault; skip: number; left: number }

/**
 * A disk in memory, with all that a real one may do, decided by `random`: after `powerCut`, what was not synced is there in part, sector by sector; changes of
 * names that were not synced are there up to some point. A failed sync loses pages that still read well. Operations take a random number of turns, so that
 * they interleave as chance has it, and the same for the same seed.
 */
export class SimDisk {
  readonly #random: () => number
  readonly #faults: ActiveFault[] = []
  #names = new Map<string, SimFile>()
  #durableNames = new Map<string, SimFile>()
  #changes: DirectoryChange[] = []
  /** Grows when the process or the machine ends: whoever used the disk before gets nothing more from it. */
  #life = 0
  #isLocked = false
  #operationCount = 0
  #cutAt = Infinity
  /** All files together. */
  capacityBytes: number

  constructor({ random, capacityBytes = Infinity }: { random: () => number; capacityBytes?: number }) {
    this.#random = random
    this.capacityBytes = capacityBytes
  }

  get operationCount(): number {
    return this.#operationCount
  }
  get usedBytes(): number {
    return [...this.#names.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }
  get paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  fail(fault: SimFault): void {
    this.#faults.push({ fault, skip: fault.skip ?? 0, left: fault.times ?? 1 })
  }

  /** The process is killed: nothing is lost, its operations under way never end. */
  kill(): void {
    this.#life += 1
    this.#isLocked = false
    this.#cutAt = Infinity
    this.#faults.length = 0
  }

  powerCut(): void {
    this.kill()
    const kept = Math.floor(this.#random() * (this.#changes.length + 1))
    for (const change of this.#changes.slice(0, kept)) change(this.#durableNames)
    this.#changes = []
    this.#names = new Map(this.#durableNames)
    for (const file of new Set(this.#names.values())) file.powerCut(this.#random)
  }

  /** Cuts the power during one of the operations to come; true from `wasCut` tells that it happened. */
  powerCutAfter(operationCount: number): void {
    this.#cutAt = this.#operationCount + operationCount
  }

  /** Changes a byte of a file, in memory and on the disk. */
  corrupt(path: string, position: number): void {
    this.#require(path).corrupt(position)
  }

  /** The file as a reader would see it. */
  contentOf(path: string): Buffer {
    return this.#require(path).read(0, Infinity)
  }

  /** Whether these bytes are in some file whose path matches after a power cut, whatever that takes. */
  holdsDurably(bytes: Buffer, path: RegExp): boolean {
    return this.#durableNames.entries().some(([name, file]) => path.test(name) && file.holdsDurably(bytes))
  }

  /** The disk as a process sees it that starts now. After `kill` or `powerCut` its operations never end; the next process takes a new view. */
  view(): Disk {
    const life = this.#life
    const perform = async <T>(operation: SimOperation, path: string, happen: () => T) =>
      await this.#perform({ operation, path, life }, happen)
    return {
      makeDirectory: () => Promise.resolve(),
      list: async (path) =>
        await perform('list', path, () => this.paths.filter((name) => dirname(name) === path).map((name) => basename(name))),
      open: async (path, options) => await perform('open', path, () => this.#open(path, options)),
      rename: async (from, to) => await perform('rename', from, () => this.#rename(from, to)),
      remove: async (path) => await perform('remove', path, () => this.remove(path)),
      syncDirectory: async (path) => await perform('syncDirectory', path, () => this.#syncNames()),
      freeBytes: async (path) => await perform('freeBytes', path, () => Math.max(0, this.capacityBytes - this.usedBytes)),
      lock: async (path) => await perform('lock', path, () => this.#lock(path)),
    }
  }

  remove(path: string): void {
    this.#require(path)
    this.#change((names) => names.delete(path))
  }

  #open(path: string, { isNew }: { isNew: boolean }): DiskFile {
    const there = this.#names.get(path)
    if (isNew === (there !== undefined)) throw systemError(isNew ? 'EEXIST' : 'ENOENT', path)
    const file = there ?? new SimFile()
    if (!there) this.#change((names) => names.set(path, file))
    return this.#handle(file)
  }

  #rename(from: string, to: string): void {
    const file = this.#require(from)
    this.#change((names) => {
      names.delete(from)
      names.set(to, file)
    })
  }

  #syncNames(): void {
    for (const change of this.#changes) change(this.#durableNames)
    this.#changes = []
  }

  #lock(path: string): AsyncDisposable {
    if (this.#isLocked) throw new AppError('LOG_UNAVAILABLE', `${path} is in use`)
    this.#isLocked = true
    const life = this.#life
    return {
      [Symbol.asyncDispose]: () => {
        if (life === this.#life) this.#isLocked = false
        return Promise.resolve()
      },
    }
  }

  #handle(file: SimFile): DiskFile {
    const life = this.#life
    const perform = async <T>(operation: SimOperation, happen: () => T, onFault?: () => void) =>
      await this.#perform({ operation, path: this.#pathOf(file), life, ...(onFault && { onFault }) }, happen)
    const write = async (position: number, chunks: readonly Buffer[]) => {
      const bytes = Buffer.concat(chunks)
      const onFault = () => file.write(position, bytes.subarray(0, Math.floor(this.#random() * bytes.length)))
      await perform('write', () => this.#write(file, position, bytes), onFault)
    }
    const sync = async () =>
      await perform(
        'sync',
        () => file.sync(),
        () => file.failSync(this.#random),
      )
    return {
      sizeBytes: async () => await perform('size', () => file.sizeBytes),
      read: async (position, lengthBytes) => await perform('read', () => file.read(position, lengthBytes)),
      write,
      writeSynced: async (position, chunks) => {
        await write(position, chunks)
        await sync()
      },
      writeZeros: async (position, lengthBytes) => {
        await write(position, [Buffer.alloc(lengthBytes)])
        await sync()
      },
      truncate: async (sizeBytes) => await perform('truncate', () => file.truncate(sizeBytes)),
      sync,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  #write(file: SimFile, position: number, bytes: Buffer): void {
    const missing = this.usedBytes + Math.max(0, position + bytes.length - file.sizeBytes) - this.capacityBytes
    file.write(position, missing > 0 ? bytes.subarray(0, Math.max(0, bytes.length - missing)) : bytes)
    if (missing > 0) throw systemError('ENOSPC', this.#pathOf(file))
  }

  /** Some turns later the operation happens, in one step, unless it is to fail or the power is cut; a write may be cut in its middle. */
  async #perform<T>(
    {
      operation,
      path,
      life = this.#life,
      onFault,
    }: { operation: SimOperation; path: string; life?: number; onFault?: () => void },
    happen: () => T,
  ): Promise<T> {
    for (let turns = Math.floor(this.#random() * 4); turns >= 0; turns--) await Promise.resolve()
    if (life !== this.#life) return await never()
    this.#operationCount += 1
    if (this.#operationCount >= this.#cutAt) {
      if (operation === 'write') happen()
      this.powerCut()
      this.onPowerCut()
      return await never()
    }
    const fault = this.#takeFault(operation, path)
    if (!fault) return happen()
    onFault?.()
    throw systemError(fault.code, path)
  }

  /** Called when the power is cut as `powerCutAfter` asked for. */
  onPowerCut: () => void = () => undefined

  #takeFault(operation: SimOperation, path: string): SimFault | undefined {
    const active = this.#faults.find(({ fault }) => fault.operation === operation && (fault.path?.test(path) ?? true))
    if (!active) return undefined
    if (active.skip > 0) {
      active.skip -= 1
      return undefined
    }
    active.left -= 1
    if (active.left === 0) this.#faults.splice(this.#faults.indexOf(active), 1)
    return active.fault
  }

  #change(change: DirectoryChange): void {
    change(this.#names)
    this.#changes.push(change)
  }

  #pathOf(file: SimFile): string {
    return this.#names.entries().find(([, other]) => other === file)?.[0] ?? 'a removed file'
  }

  #require(path: string): SimFile {
    const file = this.#names.get(path)
    if (!file) throw systemError('ENOENT', path)
    return file
  }
}

/** What an ended process waits for. A promise of its own each time: one for all would keep everything that ever waited for it in memory. */
async function never(): Promise<never> {
  return await new Promise<never>(() => undefined)
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code })
}
