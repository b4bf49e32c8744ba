import { readFile, writeFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { AppError } from '#lib/errors.ts'

/** Badness that the kernel adds when it must end a process for want of memory: the codec process goes before its worker. */
const outOfMemoryScore = 500
const lookEveryMs = 1000

export type ProcessLimits = {
  /** 0 to 19; more is further behind. */
  readonly niceness: number
  /** Of memory in use; measured each second, where the kernel tells it. */
  readonly maxMemoryBytes: number
}

/**
 * Puts a codec process behind the rest of the machine and watches its memory; it is to be called before the process has begun to work, for threads inherit
 * their priority. `onTooLarge` is called once. Disposing ends the watch.
 */
export function limitProcess(pid: number, limits: ProcessLimits, onTooLarge: (error: AppError) => void): Disposable {
  void standBack(pid, limits.niceness)
  const timer = setInterval(() => void look(), lookEveryMs).unref()
  const look = async (): Promise<void> => {
    const usedBytes = await loadMemoryBytes(pid)
    if (usedBytes === undefined || usedBytes <= limits.maxMemoryBytes) return
    clearInterval(timer)
    onTooLarge(
      new AppError(
        'WORKER_OVERLOADED',
        `the process of the task took ${usedBytes} bytes of memory, and ${limits.maxMemoryBytes} are allowed; raise worker.taskMemoryMegabytes`,
      ),
    )
  }
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Memory that a process has in use; undefined where the kernel does not tell, or the process is gone. */
export async function loadMemoryBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}

/** Each of them where it can be had. The group of a session has a niceness of its own, without which the other would not count. */
async function standBack(pid: number, niceness: number): Promise<void> {
  try {
    setPriority(pid, niceness)
  } catch {
    // The process is gone already, or this system does not allow it.
  }
  const settings = [
    [`/proc/${pid}/autogroup`, niceness],
    [`/proc/${pid}/oom_score_adj`, outOfMemoryScore],
  ] as const
  for (const [path, value] of settings) await writeFile(path, String(value)).catch(() => undefined)
}

/** Ends a process and all that it started, at once. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody of the group is left.
  }
}
