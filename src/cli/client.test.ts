import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerJson, startHttpServer } from '../../test/support/http-server.ts'
import { ApiClient } from './client.ts'

test('a request that was one too many is sent again when the server says so, up to three times', async () => {
  assert.deepEqual(await sendTo({ refusals: 3, retryAfterSeconds: 0.001 }), { outcome: 'done', requests: 4 })
  assert.deepEqual(await sendTo({ refusals: 9, retryAfterSeconds: 0.001 }), { outcome: 'RATE_LIMITED', requests: 4 })
})

test('nobody waits for long', async () => {
  assert.deepEqual(await sendTo({ refusals: 1, retryAfterSeconds: 6 }), { outcome: 'RATE_LIMITED', requests: 1 })
})

/** Sends one request to a server that refuses so many at first. */
async function sendTo({ refusals, retryAfterSeconds }: { refusals: number; retryAfterSeconds: number }) {
  await using server = await startHttpServer((_, response) => {
    const refusal = { code: 'RATE_LIMITED', message: 'too many', details: { retryAfterSeconds } }
    if (server.requests.length <= refusals) answerJson(response, 429, refusal)
    else answerJson(response, 200, {})
  })
  const outcome = await new ApiClient(server.url).startStream('lobby').then(
    () => 'done',
    ({ code }) => code,
  )
  return { outcome, requests: server.requests.length }
}
