import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { Completions } from './completions.ts'
import type { Completion, Effects, WorkerRef } from '../job-store.ts'

type Request = WorkerRef & Completion

const request = (taskId: number): Request => ({ nodeId: 'a', epoch: 1, taskId, fence: 1, output: undefined })

/** A database that answers when it is told to, and refuses what it is told to. */
class Table {
  readonly batches: number[][] = []
  readonly effects: Effects[] = []
  refused: { readonly taskId: number; readonly code: ErrorCode } | undefined
  #gate = Promise.withResolvers<void>()

  open(): void {
    this.#gate.resolve()
  }

  async complete(requests: readonly Request[]) {
    this.batches.push(requests.map(({ taskId }) => taskId))
    await this.#gate.promise
    const { refused } = this
    if (refused && requests.some(({ taskId }) => taskId === refused.taskId)) throw new AppError(refused.code, 'no')
    return { verdicts: requests.map(() => 'done' as const), changes: [], readyCount: requests.length }
  }
}

function open(): { table: Table; completions: Completions } {
  const table = new Table()
  return { table, completions: new Completions({ store: table, onEffects: (effects) => table.effects.push(effects) }) }
}

test('what comes while one transaction is under way goes into the next, together', async () => {
  const { table, completions } = open()
  const verdicts = Promise.all([1, 2, 3, 4].map((id) => completions.complete(request(id))))
  table.open()
  assert.deepEqual(await verdicts, ['done', 'done', 'done', 'done'])
  assert.deepEqual(table.batches, [[1], [2, 3, 4]])
  assert.deepEqual(
    table.effects.map(({ readyCount }) => readyCount),
    [1, 3],
  )
})

test('one that the database refuses does not take the others with it', async () => {
  const { table, completions } = open()
  table.refused = { taskId: 3, code: 'INTERNAL' }
  const outcomes = Promise.allSettled([1, 2, 3, 4].map((id) => completions.complete(request(id))))
  table.open()
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
})

test('while the database is away all of a batch are refused without another try', async () => {
  const { table, completions } = open()
  table.refused = { taskId: 3, code: 'DATABASE_UNAVAILABLE' }
  const outcomes = Promise.allSettled([1, 2, 3].map((id) => completions.complete(request(id))))
  table.open()
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  )
  assert.deepEqual(table.batches, [[1], [2, 3]])
})
