/** What tests of the event log's routes share. */
import assert from 'node:assert/strict'
import { Value } from 'typebox/value'
import { type ErrorBody, errorBodySchema } from '../contract.ts'
import { producedSchema, type Produced, type RecordPage, recordPageSchema } from '../log-contract.ts'
import type { TestApi } from '../api.fixture.ts'

export const orders = '/api/v1/topics/orders'

export async function createOrders(api: TestApi, partitions = 1, config: Record<string, unknown> = {}): Promise<void> {
  const { status, body } = await api.call('POST', '/api/v1/topics', { name: 'orders', partitions, config })
  assert.equal(status, 201, JSON.stringify(body))
}

/** Produces records as JSON. */
export async function produce(api: TestApi, records: readonly unknown[], query = ''): Promise<Produced> {
  const { status, body } = await api.call('POST', `${orders}/records${query}`, { records })
  assert.equal(status, 200, JSON.stringify(body))
  return Value.Parse(producedSchema, body)
}

/** Values `<prefix>0`, `<prefix>1`, … of one partition. */
export async function fill(api: TestApi, count: number, { partition = 0, prefix = 'v' } = {}): Promise<void> {
  await produce(
    api,
    Array.from({ length: count }, (_, index) => ({ value: `${prefix}${index}`, partition })),
  )
}

/** A page of records. */
export async function read(api: TestApi, query = ''): Promise<RecordPage> {
  const { status, body } = await api.call('GET', `${orders}/records${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  return Value.Parse(recordPageSchema, body)
}

export function valuesOf({ records }: Pick<RecordPage, 'records'>): unknown[] {
  return records.map(({ value }) => value)
}

/** The error that a request is refused with. */
export async function refusal(response: Promise<Response>): Promise<ErrorBody & { readonly status: number }> {
  const answer = await response
  return { status: answer.status, ...Value.Parse(errorBodySchema, await answer.json()) }
}

export function post(type: string, body: NonNullable<RequestInit['body']>): RequestInit {
  return { method: 'POST', headers: { 'content-type': type }, body }
}
