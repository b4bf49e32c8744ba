import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { isGrpc, parseCallHeaders } from './call-headers.ts'

const timeouts: readonly (readonly [text: string, timeoutMs: number])[] = [
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['4m', 4],
  ['5000u', 5],
  ['6000000n', 6],
  ['0n', 0],
  ['99999999S', 99_999_999_000],
]
for (const [text, timeoutMs] of timeouts) {
  test(`grpc-timeout ${text} is ${timeoutMs} ms`, () => {
    assert.ok(Math.abs((parseCallHeaders({ 'grpc-timeout': text }).timeoutMs ?? -1) - timeoutMs) < 1e-6)
  })
}

for (const text of ['', '5', 'S', '-1S', '123456789S', '1 S', '1s', '1.5S']) {
  test(`grpc-timeout "${text}" is refused`, () => {
    assert.throws(
      () => parseCallHeaders({ 'grpc-timeout': text }),
      (error) => error instanceof AppError && error.code === 'MALFORMED',
    )
  })
}

test('without headers a call has no deadline and no compression', () => {
  assert.deepEqual(parseCallHeaders({}), { timeoutMs: undefined, requestEncoding: 'identity', acceptsGzip: false })
})

test('gzip is taken and given', () => {
  const headers = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'identity, deflate,gzip' }
  assert.deepEqual(parseCallHeaders(headers), { timeoutMs: undefined, requestEncoding: 'gzip', acceptsGzip: true })
})

test('another compression is refused', () => {
  assert.throws(
    () => parseCallHeaders({ 'grpc-encoding': 'br' }),
    (error) => error instanceof AppError && error.code === 'UNSUPPORTED',
  )
})

const contentTypes: readonly (readonly [text: string | undefined, isGrpcType: boolean])[] = [
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc;charset=utf-8', true],
  ['application/grpc+json', false],
  ['application/grpc-web', false],
  ['application/json', false],
  [undefined, false],
]
for (const [text, expected] of contentTypes) {
  test(`content-type ${text} is ${expected ? '' : 'not '}gRPC with protobuf`, () => assert.equal(isGrpc(text), expected))
}
