import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { findHeader, parseHead, rtspLimits, writeRequest, writeResponse } from './message.ts'

test('a request is read', () => {
  const { message, bodyLength } = parseHead(
    'ANNOUNCE rtsp://h/s RTSP/1.0\r\nCSeq: 3\r\ncontent-length:  12 \r\nAccept: a,\r\n  b\r\nVia: x\r\nVia: y',
  )
  assert.ok(message.kind === 'request')
  assert.deepEqual([message.method, message.url, message.version, bodyLength], ['ANNOUNCE', 'rtsp://h/s', 'RTSP/1.0', 12])
  assert.equal(findHeader(message.headers, 'accept'), 'a, b')
  assert.deepEqual(message.headers.get('via'), ['x', 'y'])
})

test('a response is read, with lines that end in LF only and without a reason', () => {
  const { message } = parseHead('RTSP/1.0 200\nCSeq: 1\nWWW-Authenticate: Basic realm="x"')
  assert.ok(message.kind === 'response')
  assert.deepEqual([message.status, message.reason], [200, ''])
  assert.equal(findHeader(message.headers, 'www-authenticate'), 'Basic realm="x"')
})

test('what is written is read back', () => {
  const request = writeRequest({ method: 'SETUP', url: 'rtsp://h/s', headers: { CSeq: 1, Session: undefined, Via: ['x', 'y'] } })
  assert.equal(request.toString(), 'SETUP rtsp://h/s RTSP/1.0\r\nCSeq: 1\r\nVia: x\r\nVia: y\r\n\r\n')
  const response = writeResponse({ status: 404, reason: 'Not Found', headers: { CSeq: 1 }, body: 'ü' }).toString()
  const { message, bodyLength } = parseHead(response.slice(0, response.indexOf('\r\n\r\n')))
  assert.deepEqual([message.kind === 'response' && message.status, bodyLength], [404, 2])
})

test('a header value cannot begin another header', () => {
  const response = writeResponse({ status: 200, reason: 'OK', headers: { CSeq: '1\r\nSession: 2' } }).toString()
  assert.equal(response, 'RTSP/1.0 200 OK\r\nCSeq: 1 Session: 2\r\n\r\n')
})

const bad: [name: string, text: string, code: ErrorCode][] = [
  ['no start line', '', 'MALFORMED'],
  ['HTTP', 'GET / HTTP/1.1', 'MALFORMED'],
  ['a status of two digits', 'RTSP/1.0 20 OK', 'MALFORMED'],
  ['a header without colon', 'PLAY rtsp://h RTSP/1.0\r\nCSeq 1', 'MALFORMED'],
  ['a length that is no number', 'PLAY rtsp://h RTSP/1.0\r\nContent-Length: -1', 'MALFORMED'],
  ['a body above the limit', `PLAY rtsp://h RTSP/1.0\r\nContent-Length: ${rtspLimits.bodyBytes + 1}`, 'LIMIT_EXCEEDED'],
  ['a long URL', `PLAY rtsp://h/${'a'.repeat(rtspLimits.urlBytes)} RTSP/1.0`, 'LIMIT_EXCEEDED'],
  ['many headers', `PLAY rtsp://h RTSP/1.0\r\n${'A: b\r\n'.repeat(rtspLimits.headers + 1)}`, 'LIMIT_EXCEEDED'],
  ['a long head', `PLAY rtsp://h RTSP/1.0\r\nA: ${'b'.repeat(rtspLimits.headBytes)}`, 'LIMIT_EXCEEDED'],
]

for (const [name, text, code] of bad) {
  test(`a message with ${name} is refused`, () => {
    assert.throws(
      () => parseHead(text),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

fuzzText(
  'RTSP head',
  ['DESCRIBE rtsp://h/s RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp', 'RTSP/1.0 200 OK\r\nCSeq: 2'],
  parseHead,
)
