import { readdir, readFile } from 'node:fs/promises'
import { until } from '../../support/until.ts'

const scripts = ['transcode.ts', 'live-rendition.ts']

/** Ids of the codec processes that this process started and that are not gone. */
export async function codecProcessesOf(parentPid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${parentPid}/task`).catch(() => [])
  const lists = await Promise.all(threads.map((thread) => read(`/proc/${parentPid}/task/${thread}/children`)))
  const children = lists.flatMap((text) => text.split(' ').filter(Boolean).map(Number))
  const are = await Promise.all(children.map(isCodecProcess))
  return children.filter((_, at) => are[at])
}

/** Waits until none of these processes is there any more, not even as one that cannot be ended. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids)
    await until(async () => !(await isCodecProcess(pid)), { what: `process ${pid} to be gone`, timeoutMs: 20_000 })
}

/** To a codec process and all that it started; one that is gone does not mind. */
export function signalGroup(pid: number, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody of the group is left.
  }
}

async function isCodecProcess(pid: number): Promise<boolean> {
  // Of one that has ended and whose parent does not know yet, it is empty.
  const [, script = ''] = (await read(`/proc/${pid}/cmdline`)).split('\0')
  return scripts.some((name) => script.endsWith(`/codec/process/${name}`))
}

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
