import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startApi } from './api.fixture.ts'
import { apiDocuments } from './api-documents.ts'

type Json = Record<string, unknown>

function record(value: unknown, what: string): Json {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), `${what} is an object`)
  return { ...value }
}

async function loadDocument(): Promise<Json> {
  await using api = await startApi()
  return record((await api.call('GET', '/api/openapi.json')).body, 'document')
}

function operations(document: Json): { route: string; path: string; operation: Json }[] {
  return Object.entries(record(document['paths'], 'paths')).flatMap(([path, methods]) =>
    Object.entries(record(methods, path)).map(([method, operation]) => {
      const route = `${method.toUpperCase()} ${path}`
      return { route, path, operation: record(operation, route) }
    }),
  )
}

test('the document has every route of the API, and no other', async () => {
  const routes = operations(await loadDocument()).map(({ route }) => route)
  const stream = '/api/v1/streams/{name}'
  const topic = '/api/v1/topics/{name}'
  const group = '/api/v1/groups/{group}'
  assert.deepEqual(
    routes.toSorted(),
    [
      'GET /health',
      'GET /live',
      'GET /ready',
      'GET /api/v1/config',
      'GET /api/v1/events',
      'GET /api/v1/recordings',
      'GET /api/v1/recordings/{id}',
      'DELETE /api/v1/recordings/{id}',
      'GET /api/v1/recordings/{id}/media.mp4',
      'GET /api/v1/status',
      'GET /api/v1/streams',
      'POST /api/v1/streams',
      ...['GET', 'PATCH', 'DELETE'].map((method) => `${method} ${stream}`),
      ...['readers', 'timeline', 'playback.m3u8', 'export.mp4'].map((what) => `GET ${stream}/${what}`),
      ...['start', 'stop', 'restart'].map((action) => `POST ${stream}/${action}`),
      'GET /api/v1/topics',
      'POST /api/v1/topics',
      ...['GET', 'PATCH', 'DELETE'].map((method) => `${method} ${topic}`),
      ...['partitions', 'offsets', 'records'].map((what) => `GET ${topic}/${what}`),
      `POST ${topic}/records`,
      `POST ${topic}/partitions/{partition}/delete-records`,
      'GET /api/v1/groups',
      ...['GET', 'DELETE'].map((method) => `${method} ${group}`),
      ...['POST', 'DELETE'].map((method) => `${method} ${group}/offsets`),
      `POST ${group}/reset`,
      ...['start', 'stop', 'pause', 'resume'].map((action) => `POST ${stream}/recording/${action}`),
    ].toSorted(),
  )
})

test('every route says what it is for, takes what its path names, and describes its answers', async () => {
  const document = await loadDocument()
  assert.equal(document['openapi'], '3.1.0')
  for (const { route, path, operation } of operations(document)) {
    assert.match(String(operation['summary']), /^[A-Z].+\.$/, route)
    assert.ok(Array.isArray(operation['tags']) && operation['tags'].length === 1, route)
    const parameters: unknown[] = Array.isArray(operation['parameters']) ? operation['parameters'] : []
    for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
      assert.ok(
        parameters.some((one) => record(one, route)['name'] === name && record(one, route)['in'] === 'path'),
        route,
      )
    }
    const responses = record(operation['responses'], route)
    assert.ok(
      Object.keys(responses).some((status) => status.startsWith('2')),
      route,
    )
    for (const kind of ['4XX', '5XX']) {
      const content = record(record(responses[kind], `${route} ${kind}`)['content'], route)
      assert.deepEqual(record(content['application/json'], route)['schema'], { $ref: '#/components/schemas/Error' })
    }
  }
})

test('every reference in the document leads somewhere, and schemas are written once', async () => {
  const document = await loadDocument()
  const text = JSON.stringify(document)
  const schemas = record(record(document['components'], 'components')['schemas'], 'schemas')
  const used = new Set<unknown>([...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name))
  assert.deepEqual(used, new Set(Object.keys(schemas)))
  assert.equal(text.split('"keyframeIntervalMs"').length, 2)
})

test('docs/api.md is up to date', async () => {
  for (const { path, text } of await apiDocuments()) {
    const kept = readFileSync(join(import.meta.dirname, '../..', path), 'utf8')
    assert.equal(kept, text, `${path} is stale; run npm run generate`)
  }
})
