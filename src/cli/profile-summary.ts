import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '#lib/errors.ts'

const callFrame = Type.Object({ functionName: Type.String(), url: Type.String(), lineNumber: Type.Integer() })
type CallFrame = Static<typeof callFrame>

/** What is read of a `.cpuprofile`: `Profiler.Profile` of the Chrome DevTools Protocol; times are microseconds. */
const cpuProfileSchema = Type.Object({
  nodes: Type.Array(Type.Object({ id: Type.Integer(), callFrame })),
  startTime: Type.Number(),
  endTime: Type.Number(),
  samples: Type.Array(Type.Integer()),
  timeDeltas: Type.Array(Type.Number()),
})

/** What is read of a `.heapprofile`: `HeapProfiler.SamplingHeapProfile`; the tree goes on in `children`. */
const allocationNodeSchema = Type.Object({ callFrame, selfSize: Type.Number(), children: Type.Array(Type.Unknown()) })
const allocationProfileSchema = Type.Object({ head: allocationNodeSchema })

/** A function, and what it took itself, without those that it called. */
export type FunctionShare = {
  readonly name: string
  /** `src/cli/serve.ts:12`; empty for what has no place. */
  readonly place: string
  /** Microseconds, or bytes. */
  readonly self: number
}

export type CpuSummary = {
  readonly totalUs: number
  /** In which the process had nothing to do. */
  readonly idleUs: number
  readonly collectorUs: number
  /** Code of Node and V8 that belongs to no function. */
  readonly nativeUs: number
  /** The functions with the most time of their own, the first has most. */
  readonly functions: FunctionShare[]
}

/** Where the time went. Throws `MALFORMED`. */
export function summarizeCpu(profile: unknown, count: number): CpuSummary {
  if (!Check(cpuProfileSchema, profile)) throw new AppError('MALFORMED', 'the server sent no CPU profile; use its own millrace')
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const shares = new Shares()
  const { samples, timeDeltas, startTime, endTime } = profile
  let atUs = startTime
  for (const [index, id] of samples.entries()) {
    atUs += timeDeltas[index] ?? 0
    // A sample counts until the next one.
    const lastedUs = timeDeltas[index + 1] ?? endTime - atUs
    const frame = frames.get(id)
    if (frame) shares.add(frame, Math.max(0, lastedUs))
  }
  return {
    totalUs: endTime - startTime,
    idleUs: shares.take('(idle)'),
    collectorUs: shares.take('(garbage collector)'),
    nativeUs: shares.take('(program)') + shares.take('(root)'),
    functions: shares.top(count),
  }
}

export type AllocationSummary = { readonly totalBytes: number; readonly functions: FunctionShare[] }

/** Who allocated. Throws `MALFORMED`. */
export function summarizeAllocations(profile: unknown, count: number): AllocationSummary {
  if (!Check(allocationProfileSchema, profile)) {
    throw new AppError('MALFORMED', 'the server sent no profile of allocations; use its own millrace')
  }
  const shares = new Shares()
  const rest: unknown[] = [profile.head]
  for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
    if (!Check(allocationNodeSchema, node)) continue
    shares.add(node.callFrame, node.selfSize)
    for (const child of node.children) rest.push(child)
  }
  return { totalBytes: shares.total, functions: shares.top(count) }
}

/** Sums by function: one stands in the tree once for each way in which it was called. */
class Shares {
  readonly #byFunction = new Map<string, FunctionShare>()

  get total(): number {
    return [...this.#byFunction.values()].reduce((total, { self }) => total + self, 0)
  }

  add(frame: CallFrame, value: number): void {
    const [name, place] = [frame.functionName === '' ? '(anonymous)' : frame.functionName, placeOf(frame)]
    const key = `${name} ${place}`
    this.#byFunction.set(key, { name, place, self: (this.#byFunction.get(key)?.self ?? 0) + value })
  }

  /** Takes out what V8 keeps under a name of its own. */
  take(name: string): number {
    const key = `${name} `
    const self = this.#byFunction.get(key)?.self ?? 0
    this.#byFunction.delete(key)
    return self
  }

  top(count: number): FunctionShare[] {
    return [...this.#byFunction.values()]
      .filter(({ self }) => self > 0)
      .toSorted((one, other) => other.self - one.self)
      .slice(0, count)
  }
}

/** From the folder of packages or of our own code on: the rest of the path says only where Millrace was installed. */
function placeOf({ url, lineNumber }: CallFrame): string {
  if (url === '') return ''
  const [short = url] = /(?:.*\/)?(node_modules\/.*)$/.exec(url)?.slice(1) ?? /.*\/(src\/.*)$/.exec(url)?.slice(1) ?? []
  return `${short}:${lineNumber + 1}`
}
