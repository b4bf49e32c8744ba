import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import type { LogFinding } from '#roles/log-tools.ts'
import { defineCommand } from './command.ts'
import { formatBytes } from './format.ts'
import { findingsTable } from './log-findings.ts'
import { loadNodeSettings, nodeOptions } from './node-options.ts'
import { openLog } from './node-run.ts'
import { ProgressLine } from './progress-line.ts'

/** Findings that are kept for the table; all of them are counted, and printed with --json. */
const maxListed = 1000

export const logVerify = defineCommand({
  name: 'log verify',
  summary: 'Check all stored records against the database and their checksums',
  details:
    'Changes nothing, and may run beside a server. Records that only the write-ahead log has yet are not looked at. Exit code 1 when something is lost or damaged.',
  arguments: Type.Object({}),
  options: Type.Object({
    config: nodeOptions.config,
    data: nodeOptions.data,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line: each finding, then the totals' }),
  }),
  async run({ options, terminal, environment, clock, signal }) {
    const { value: settings } = await loadNodeSettings(options, environment)
    const { log } = openLog(settings, terminal)
    const { openLogTools } = await import('#roles/log-tools.ts')
    await using tools = await openLogTools({ settings, clock, log }, { isExisting: true })
    const progress = new ProgressLine({ terminal, clock })
    const listed: LogFinding[] = []
    let count = 0
    let totals = { objects: 0, batches: 0, bytes: 0 }
    try {
      for await (const step of tools.verify(signal)) {
        if (step.kind === 'progress') {
          totals = { objects: step.objects, batches: step.batches, bytes: step.bytes }
          progress.update(step.bytes, undefined)
          continue
        }
        count += 1
        if (options.json) terminal.write(`${JSON.stringify(step.finding)}\n`)
        else if (listed.length < maxListed) listed.push(step.finding)
      }
    } finally {
      progress.clear()
    }
    const checked = `${totals.objects} objects, ${totals.batches} batches, ${formatBytes(totals.bytes)} checked`
    if (options.json) terminal.write(`${JSON.stringify({ kind: 'totals', ...totals, findings: count })}\n`)
    else
      terminal.write(
        `${listed.length > 0 ? `${findingsTable(listed, terminal)}\n` : ''}${checked}${count === 0 ? ': all is well' : ''}\n`,
      )
    if (count > 0) throw new AppError('LOG_DAMAGED', `${count} findings; see above`)
  },
})
