import { readFileSync } from 'node:fs'

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

function readUsage(pid: number): Usage {
  // Behind the name in parentheses: state is field 3, utime 14, stime 15.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1] ?? 0) * 1024
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    rssBytes: kilobytes('Rss'),
    pssBytes: kilobytes('Pss'),
  }
}
