import { sql } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { rowSet } from '#store/sql/row-set.ts'
import type { Database } from '#store/sql/schema.ts'
import type { JobLogs, JobLogQuery, LogLevel, StoredLogLine } from '../scheduler/job-logs.ts'
import { logLevels } from '../scheduler/job-logs.ts'
import type { WorkerRef } from '../job-store.ts'
import type { JobId } from '../model.ts'
import type { TaskLogLine } from '../worker-protocol.ts'

const levelSchema = Type.Enum([...logLevels])

/** Lines of tasks in the table `job_log_lines`; a job keeps its newest `linesPerJob`. */
export function sqlJobLogs(database: Database, { linesPerJob = 5000 } = {}): JobLogs {
  return {
    append: (worker, lines) => appendLines(database, { worker, lines, linesPerJob }),
    list: (query) => listLines(database, query),
  }
}

type Append = { readonly worker: WorkerRef; readonly lines: readonly TaskLogLine[]; readonly linesPerJob: number }

async function appendLines(database: Database, { worker, lines, linesPerJob }: Append): Promise<void> {
  if (lines.length === 0) return
  const added = rowSet(database.dialect, lines, {
    task_id: ['bigint', (line) => line.taskId],
    at_ms: ['bigint', (line) => Math.round(line.atMs)],
    level: ['text', (line) => line.level],
    text: ['text', (line) => line.text.replaceAll('\0', '')],
  })
  await database.db.transaction().execute(async (db) => {
    const { rows } = await sql<{ job_id: JobId }>`
      insert into job_log_lines (job_id, task_id, at_ms, level, text)
      select tasks.job_id, added.task_id, added.at_ms, added.level, added.text
      from ${added} as added join tasks on tasks.id = added.task_id
      where exists (select 1 from nodes where id = ${worker.nodeId} and epoch = ${worker.epoch})
      returning job_id
    `.execute(db)
    for (const jobId of new Set(rows.map(({ job_id }) => job_id))) {
      await sql`
        delete from job_log_lines where job_id = ${jobId} and id <= (
          select id from job_log_lines where job_id = ${jobId} order by id desc limit 1 offset ${linesPerJob}
        )
      `.execute(db)
    }
  })
}

async function listLines({ db }: Database, query: JobLogQuery): Promise<StoredLogLine[]> {
  const { jobId, taskId, minLevel, after, limit, isTail } = query
  let wanted = db.selectFrom('job_log_lines').select(['id', 'task_id', 'at_ms', 'level', 'text']).where('job_id', '=', jobId)
  if (taskId !== undefined) wanted = wanted.where('task_id', '=', taskId)
  if (minLevel !== undefined) wanted = wanted.where('level', 'in', levelsFrom(minLevel))
  if (after !== undefined) wanted = wanted.where('id', '>', after)
  const rows = await wanted
    .orderBy('id', isTail ? 'desc' : 'asc')
    .limit(limit)
    .execute()
  const lines = rows.map(({ id, task_id: ofTask, at_ms: atMs, level, text }) => {
    return { id, taskId: ofTask, atMs, level: Value.Parse(levelSchema, level), text }
  })
  return isTail ? lines.reverse() : lines
}

function levelsFrom(least: LogLevel): LogLevel[] {
  return logLevels.slice(logLevels.indexOf(least))
}
