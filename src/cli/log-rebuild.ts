import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import { defineCommand } from './command.ts'
import { formatBytes } from './format.ts'
import { findingsTable, isDamage } from './log-findings.ts'
import { loadNodeSettings, nodeOptions } from './node-options.ts'
import { openLog } from './node-run.ts'
import { ProgressLine } from './progress-line.ts'

export const logRebuild = defineCommand({
  name: 'log rebuild',
  summary: 'Build a lost database of the event log again from the object store',
  details:
    'Stop the server first, and configure an empty database. Settings of topics, topics without records, consumer groups and access rules are lost with the database; topics keep everything until told otherwise. Exit code 1 when records are missing.',
  arguments: Type.Object({}),
  options: Type.Object({
    config: nodeOptions.config,
    data: nodeOptions.data,
    json: Type.Boolean({ default: false, description: 'Print JSON for programs' }),
  }),
  async run({ options, terminal, environment, clock, signal }) {
    const { value: settings } = await loadNodeSettings(options, environment)
    const { log } = openLog(settings, terminal)
    const { openLogTools } = await import('#roles/log-tools.ts')
    await using tools = await openLogTools({ settings, clock, log }, { isExisting: false })
    const progress = new ProgressLine({ terminal, clock })
    const steps = { survey: 'looked through', import: 'taken over' } as const
    const report = await tools
      .rebuild({ signal, onProgress: ({ step, objects }) => progress.show(() => `${objects} objects ${steps[step]}`) })
      .finally(() => progress.clear())
    const { findings, topics, partitions, objects, sizeBytes } = report
    const found = `${topics} topics with ${partitions} partitions in ${objects} objects, ${formatBytes(sizeBytes)}`
    if (options.json) terminal.write(`${JSON.stringify(report, null, 2)}\n`)
    else terminal.write(`${findings.length > 0 ? `${findingsTable(findings, terminal)}\n` : ''}${found}\n`)
    const damages = findings.filter(isDamage).length
    if (damages > 0) throw new AppError('LOG_DAMAGED', `records are missing: ${damages} findings; see above`)
  },
})
