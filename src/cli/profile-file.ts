import { readFile } from 'node:fs/promises'
import type { ApiClient } from './client.ts'
import type { CommandContext } from './command.ts'
import { downloadTo } from './export-download.ts'
import { fileTime, formatDuration } from './format.ts'
import { progressBar, ProgressLine } from './progress-line.ts'
import { checkOutput, writeWhole } from './whole-file.ts'

/** Functions that are named at the end. */
export const shownFunctions = 5

const extensions = { cpu: 'cpuprofile', allocations: 'heapprofile', heap: 'heapsnapshot' } as const
const redrawMs = 250

type Order = {
  readonly kind: keyof typeof extensions
  readonly query: Readonly<Record<string, string | number>>
  /** How long the server looks; absent where nobody knows. */
  readonly seconds?: number
  readonly output?: string
  readonly force: boolean
}

/** Takes a profile of a server into a file that only its owner can read. Throws `OUTPUT_FAILED` before it asks, and whatever the server refuses with. */
export async function saveProfile(
  client: ApiClient,
  { kind, query, seconds, output, force }: Order,
  { terminal, clock, signal }: Pick<CommandContext, 'terminal' | 'clock' | 'signal'>,
): Promise<{ file: string; sizeBytes: number }> {
  const file = output ?? `millrace-${kind}-${fileTime(clock.nowMs())}.${extensions[kind]}`
  checkOutput(file, { force })
  const progress = new ProgressLine({ terminal, clock })
  using _ = setInterval(() => progress.show((elapsedMs) => describeWait(elapsedMs, seconds)), redrawMs)
  const sizeBytes = await writeWhole(
    file,
    (handle) =>
      downloadTo({
        open: () => client.send(`profiles/${kind}`, { method: 'POST', query, signal, isLong: true }),
        handle,
        onProgress: (done) => progress.update(done, undefined),
        signal,
      }).finally(() => progress.clear()),
    { mode: 0o600 },
  )
  return { file, sizeBytes }
}

export async function readProfile(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'))
}

/** `12 %` of a whole, or `1.2 %`. */
export function shareOf(part: number, whole: number): string {
  const percent = whole > 0 ? (100 * part) / whole : 0
  return `${percent.toFixed(percent < 9.95 ? 1 : 0)} %`
}

function describeWait(elapsedMs: number, seconds: number | undefined): string {
  if (seconds === undefined) return `The server writes down its heap and stands still meanwhile, ${formatDuration(elapsedMs)}`
  return `${progressBar(elapsedMs / 1000 / seconds)} ${formatDuration(elapsedMs)} of ${seconds} s`
}
