import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '#bytes/reader.ts'
import { fuzzBytes } from '../../../../test/support/fuzz.ts'
import { apis, type ApiName } from '../apis.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, readRequestHeader } from '../frame.ts'
import { leaves } from './leaves.fixture.ts'
import { requests } from './requests.fixture.ts'
import { responses } from './responses.fixture.ts'

const header = { correlationId: 7, clientId: 'tester' }

for (const { name } of Object.values(apis)) {
  test(`${name}: every version reads what it writes, and together they carry every field`, () => roundTrip(name))
  fuzzBytes(
    `${name} requests`,
    versionsOf(name).map((version) => requestBytes(name, version)),
    (input) => {
      const r = new Reader(input)
      const { apiVersion } = readRequestHeader(r)
      decodeRequest(apis[name], apiVersion, r)
    },
  )
  fuzzBytes(
    `${name} responses`,
    versionsOf(name).map((version) => responseBytes(name, version)),
    (input) => {
      for (const version of versionsOf(name)) decodeResponse(apis[name], version, input)
    },
  )
}

function roundTrip<N extends ApiName>(name: N): void {
  const api = apis[name]
  const carried = { request: new Set<string>(), response: new Set<string>() }
  for (const version of versionsOf(name)) {
    const request = requestBytes(name, version)
    const r = new Reader(request)
    assert.deepEqual(readRequestHeader(r), { apiKey: api.key, apiVersion: version, ...header })
    const asked = decodeRequest(api, version, r)
    assert.deepEqual(encodeRequest(api, version, header, asked).subarray(4), request)
    for (const leaf of leaves(asked)) carried.request.add(leaf)

    const response = responseBytes(name, version)
    const { correlationId, body: answered } = decodeResponse(api, version, response)
    assert.equal(correlationId, 7)
    assert.deepEqual(encodeResponse(api, version, 7, answered).subarray(4), response)
    for (const leaf of leaves(answered)) carried.response.add(leaf)
  }
  assert.deepEqual(new Set(leaves(requests[name])).difference(carried.request), new Set())
  assert.deepEqual(new Set(leaves(responses[name])).difference(carried.response), new Set())
}

function versionsOf(name: ApiName): number[] {
  const { min, max } = apis[name]
  return Array.from({ length: max - min + 1 }, (_, at) => min + at)
}

function requestBytes<N extends ApiName>(name: N, version: number): Buffer {
  return encodeRequest(apis[name], version, header, requests[name]).subarray(4)
}

function responseBytes<N extends ApiName>(name: N, version: number): Buffer {
  return encodeResponse(apis[name], version, 7, responses[name]).subarray(4)
}
