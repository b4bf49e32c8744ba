import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { DirectoryStore } from './directory-store.ts'
import type { ObjectStore } from './object-store.ts'
import { partUpload } from './part-upload.ts'
import { ObjectTransfers } from './transfers.ts'

const baseUrl = 'http://10.0.0.5:3000/'
const upload = partUpload({ key: 'a/ü b', uploadId: 'upload1234', sizeBytes: 20_000_000 })

async function openTransfers(stack: AsyncDisposableStack, changes: Partial<ObjectStore> = {}) {
  const directory = stack.use(await temporaryDirectory())
  const clock = new ManualClock()
  const store = stack.use(await DirectoryStore.open({ directory: directory.path, clock }))
  const objects = Object.assign(store, changes)
  const transfers = new ObjectTransfers({ objects, secret: randomBytes(32), clock, ttlSeconds: 60 })
  return { transfers, urls: transfers.urls(baseUrl), clock, objects }
}

function tokenOf(url: string): string {
  const { origin, pathname, searchParams } = new URL(url)
  assert.equal(origin + pathname, 'http://10.0.0.5:3000/api/v1/objects/transfer')
  return searchParams.get('token') ?? ''
}

test('a token permits what it was signed for', async () => {
  await using stack = new AsyncDisposableStack()
  const { transfers, urls } = await openTransfers(stack)
  assert.deepEqual(transfers.verify(tokenOf(await urls.get('a/ü b'))), { kind: 'get', key: 'a/ü b' })
  assert.deepEqual(transfers.verify(tokenOf(await urls.put(upload, 2))), { kind: 'put', upload, part: 2 })
})

test('a token ends with its time', async () => {
  await using stack = new AsyncDisposableStack()
  const { transfers, urls, clock } = await openTransfers(stack)
  const token = tokenOf(await urls.get('a'))
  clock.advance(59_999)
  transfers.verify(token)
  clock.advance(1)
  assert.throws(() => transfers.verify(token), { code: 'FORBIDDEN', message: /expired/ })
})

test('forged tokens are refused', async () => {
  await using stack = new AsyncDisposableStack()
  const { transfers, urls, clock, objects } = await openTransfers(stack)
  const token = tokenOf(await urls.get('a'))
  const [payload = '', tag = ''] = token.split('.')
  const other = Buffer.from(JSON.stringify(['get', 'b', 9_999_999_999])).toString('base64url')
  const stranger = new ObjectTransfers({ objects, secret: randomBytes(32), clock, ttlSeconds: 60 })
  const forged = [
    '',
    '.',
    payload,
    `${payload}.`,
    `${payload}.${tag.slice(0, -4)}`,
    `${other}.${tag}`,
    `${token}.${tag}`,
    tokenOf(await stranger.urls(baseUrl).get('a')),
  ]
  for (const bad of forged) assert.throws(() => transfers.verify(bad), { code: 'FORBIDDEN' }, bad)
})

test('a store that signs its own URLs is asked for them', async () => {
  await using stack = new AsyncDisposableStack()
  const { urls } = await openTransfers(stack, {
    signGet: async (key, { ttlSeconds }) => `https://bucket/${key}?expires=${ttlSeconds}`,
    signPart: async ({ uploadId }, part) => `https://bucket/${uploadId}/${part}`,
  })
  assert.equal(await urls.get('a'), 'https://bucket/a?expires=60')
  assert.equal(await urls.put(upload, 1), 'https://bucket/upload1234/1')
})

test('no URL is made for a part that the upload does not have, and none with a short secret', async () => {
  await using stack = new AsyncDisposableStack()
  const { urls, clock, objects } = await openTransfers(stack)
  await assert.rejects(urls.put(upload, 3), { code: 'REQUEST_INVALID' })
  const secret = randomBytes(31)
  assert.throws(() => new ObjectTransfers({ objects, secret, clock, ttlSeconds: 60 }), { code: 'CONFIG_INVALID' })
})
