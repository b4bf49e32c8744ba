import type { LogFinding } from '#roles/log-tools.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

/** What is lost or in doubt; others say only what was left out, and why. */
const damages: Readonly<Record<LogFinding['kind'], boolean>> = {
  missing: true,
  size: true,
  index: true,
  damaged: true,
  unreadable: true,
  gap: true,
  overlap: true,
  superseded: false,
  orphan: false,
  'replaced-topic': false,
}

/** `overlap` is a fault of a database, and in objects alone only what is left of a takeover. */
export function isDamage(finding: LogFinding): boolean {
  return damages[finding.kind] && !(finding.kind === 'overlap' && 'objectKey' in finding)
}

/** Findings as a table for people. */
export function findingsTable(findings: readonly LogFinding[], terminal: Terminal): string {
  const rows = findings.map((finding) => {
    const kind = terminal.color(isDamage(finding) ? 'red' : 'yellow', finding.kind)
    return [kind, whereOf(finding), whatOf(finding)]
  })
  return formatTable([{ title: 'FINDING' }, { title: 'WHERE' }, { title: 'WHAT' }], rows)
}

function whereOf(finding: LogFinding): string {
  if ('partition' in finding) return `${finding.topic}/${finding.partition}`
  return 'objectKey' in finding ? finding.objectKey : finding.topic
}

function whatOf(finding: LogFinding): string {
  switch (finding.kind) {
    case 'missing':
      return `the object is not there; ${finding.extents} runs of records are lost with it`
    case 'size':
      return `${finding.storedBytes} bytes in place of ${finding.committedBytes}`
    case 'damaged':
      return `offsets ${finding.baseOffset} to ${finding.lastOffset} of partition id ${finding.partitionId}: ${finding.message}`
    case 'index':
    case 'unreadable':
      return finding.message
    case 'gap':
      return `offsets ${finding.fromOffset} to ${finding.toOffset - 1} are nowhere`
    case 'overlap':
      if ('fromOffset' in finding) return `offsets ${finding.fromOffset} to ${finding.toOffset - 1} are there twice`
      return `offsets ${finding.baseOffset} to ${finding.lastOffset} left out, others cover them (${finding.objectKey})`
    case 'superseded':
      return `offsets ${finding.baseOffset} to ${finding.lastOffset} left out, of an owner that was replaced (${finding.objectKey})`
    case 'orphan':
      return 'nothing in this object is part of the history'
    case 'replaced-topic':
      return `left out: the topic was deleted and made again (${finding.topicId})`
    default:
      return finding satisfies never
  }
}
