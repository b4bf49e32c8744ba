import { Type } from 'typebox'
import { streamParamsSchema } from '#api/contract.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions, rangeOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { downloadTo } from './export-download.ts'
import { fileTime, formatBytes, formatDuration } from './format.ts'
import { ProgressLine } from './progress-line.ts'
import { isoRange, parseRange } from './time-argument.ts'
import { checkOutput, outputOptions, writeWhole } from './whole-file.ts'

export const recordingsExport = defineCommand({
  name: 'recordings export',
  summary: 'Save a stretch of a recorded stream as one MP4 file',
  details: 'The file appears under its name only when it is complete. A download that breaks off goes on where it was.',
  arguments: Type.Object({ stream: streamParamsSchema.properties.name }),
  options: Type.Object({
    ...apiOptions,
    ...rangeOptions,
    ...outputOptions('stream and start'),
  }),
  async run({ arguments: { stream }, options, terminal, environment, clock, signal }) {
    const nowMs = clock.nowMs()
    const { fromMs, toMs = nowMs } = parseRange(options, nowMs)
    if (fromMs === undefined) throw new AppError('USAGE', 'it is not said which stretch; give --last 15m, or --from and --to')
    const file = options.output ?? `${stream.replaceAll('/', '-')}-${fileTime(fromMs)}.mp4`
    checkOutput(file, options)
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
