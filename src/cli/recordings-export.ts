import { existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { Type } from 'typebox'
import { streamParamsSchema } from '#api/contract.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions, rangeOptions } from './api-options.ts'
import { isAbort, openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { downloadTo } from './export-download.ts'
import { formatBytes, formatDuration, formatTime } from './format.ts'
import { ProgressLine } from './progress-line.ts'
import { isoRange, parseRange } from './time-argument.ts'

export const recordingsExport = defineCommand({
  name: 'recordings export',
  summary: 'Save a stretch of a recorded stream as one MP4 file',
  details: 'The file appears under its name only when it is complete. A download that breaks off goes on where it was.',
  arguments: Type.Object({ stream: streamParamsSchema.properties.name }),
  options: Type.Object({
    ...apiOptions,
    ...rangeOptions,
    output: Type.Optional(
      Type.String({
        short: 'o',
        placeholder: 'file',
        minLength: 1,
        description: 'Where to; otherwise named after stream and start, here',
      }),
    ),
    force: Type.Boolean({ default: false, description: 'Overwrite the file if it is there' }),
  }),
  async run({ arguments: { stream }, options, terminal, environment, clock, signal }) {
    const nowMs = clock.nowMs()
    const { fromMs, toMs = nowMs } = parseRange(options, nowMs)
    if (fromMs === undefined) throw new AppError('USAGE', 'it is not said which stretch; give --last 15m, or --from and --to')
    const file =
      options.output ?? `${stream.replaceAll('/', '-')}-${formatTime(fromMs).replaceAll(/[-:]/g, '').replace(' ', '-')}.mp4`
    if (existsSync(file) && !options.force)
      throw new AppError('OUTPUT_FAILED', `${file} exists already; choose another --output, or overwrite it with --force`)
    const client = openClient(options, environment)
    const progress = new ProgressLine({ terminal, clock })
    const startedMs = clock.monotonicMs()
    // The end is fixed, so that the bytes stay the same for a second try.
    const range = { stream, ...isoRange({ fromMs, toMs }) }
    const sizeBytes = await writeWhole(file, (handle) =>
      downloadTo({
        open: (resume) => client.openExport(range, { signal, ...(resume && { resume }) }),
        handle,
        onProgress: (done, total) => progress.update(done, total),
        signal,
      }).finally(() => progress.clear()),
    )
    const tookMs = clock.monotonicMs() - startedMs
    if (options.json) terminal.write(`${JSON.stringify({ file, sizeBytes, ...isoRange({ fromMs, toMs }) })}\n`)
    else terminal.write(`Wrote ${file}: ${formatBytes(sizeBytes)} in ${formatDuration(tookMs)}\n`)
  },
})

/** Writes beside the file and renames at the end, so that under the name there is all or what was there before. */
async function writeWhole(file: string, write: (handle: Awaited<ReturnType<typeof open>>) => Promise<number>): Promise<number> {
  const partial = `${file}.part`
  try {
    const sizeBytes = await writeInto(partial, write)
    await rename(partial, file)
    return sizeBytes
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    if (error instanceof AppError || isAbort(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('OUTPUT_FAILED', `${file} cannot be written: ${reason}; choose another --output`, { cause: error })
  }
}

async function writeInto(path: string, write: (handle: Awaited<ReturnType<typeof open>>) => Promise<number>): Promise<number> {
  await using handle = await open(path, 'a')
  return await write(handle)
}
