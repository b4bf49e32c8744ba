import { globSync, readFileSync } from 'node:fs'

/** What processes used so far, all together: CPU since their start, memory now. */
export type Usage = { readonly cpuSeconds: number; readonly rssBytes: number; readonly pssBytes: number }

/** `getconf CLK_TCK` on every Linux that Node runs on. */
const ticksPerSecond = 100

/**
 * Reads `/proc` (proc(5)). PSS counts a page that several processes share once, so that many processes of one program are not
 * charged for its code many times.
 */
export function usageOf(pids: readonly number[]): Usage {
  const all = pids.map(readUsage)
  const sum = (of: (usage: Usage) => number): number => all.reduce((total, usage) => total + of(usage), 0)
  return { cpuSeconds: sum((u) => u.cpuSeconds), rssBytes: sum((u) => u.rssBytes), pssBytes: sum((u) => u.pssBytes) }
}

/** CPU of a process and of all that it started, whether they have ended or not. */
export function treeCpuSeconds(root: number): number {
  const all = globSync('/proc/[0-9]*/stat').flatMap((path) => readStat(path) ?? [])
  const isInTree = (pid: number): boolean =>
    pid === root || (pid > 1 && isInTree(all.find((each) => each.pid === pid)?.parent ?? 0))
  return all.filter(({ pid }) => isInTree(pid)).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
}

/** The same of all that it started, without itself. */
export function childrenCpuSeconds(root: number): number {
  const [userTicks = 0, systemTicks = 0] = fieldsOf(`/proc/${root}/stat`).slice(11, 13).map(Number)
  return treeCpuSeconds(root) - (userTicks + systemTicks) / ticksPerSecond
}

/** CPU of all children of this process that have ended, and of theirs. */
export function endedChildrenCpuSeconds(): number {
  const [userTicks = 0, systemTicks = 0] = fieldsOf('/proc/self/stat').slice(13, 15).map(Number)
  return (userTicks + systemTicks) / ticksPerSecond
}

/** Behind the name in parentheses: state is field 3, parent 4, utime 14, stime 15, and of ended children 16 and 17. */
function fieldsOf(path: string): string[] {
  const stat = readFileSync(path, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** Undefined: it has just ended. */
function readStat(path: string): { pid: number; parent: number; cpuSeconds: number } | undefined {
  try {
    const fields = fieldsOf(path)
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return { pid: Number(path.split('/')[2]), parent: Number(fields[1]), cpuSeconds: ticks / ticksPerSecond }
  } catch {
    return undefined
  }
}

function readUsage(pid: number): Usage {
  const fields = fieldsOf(`/proc/${pid}/stat`)
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1] ?? 0) * 1024
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssBytes: kilobytes('Rss'),
    pssBytes: kilobytes('Pss'),
  }
}
