import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { failureReportOf } from './failure-report.ts'
import type { SourceMount } from './source-proxy.ts'

const source = { name: 'source', url: 'http://store/film' }
const chunk = { name: '12-chunk.mp4', url: 'http://store/chunk', taskId: 12 }

function mountWith(...failures: SourceMount['failures']): SourceMount {
  return { failures, servedBytes: 0, urlOf: (name) => `http://127.0.0.1:1/token/${name}`, [Symbol.dispose]: () => undefined }
}

test('an error keeps its code and message', () => {
  const report = failureReportOf(new AppError('UNSUPPORTED', 'no such codec'), [source], mountWith())
  assert.deepEqual(report, { code: 'UNSUPPORTED', message: 'no such codec' })
})

test('an input that could not be read comes before what libav says of it', () => {
  const failure = { error: new AppError('SOURCE_UNREACHABLE', 'it is away'), input: source }
  const report = failureReportOf(new AppError('MALFORMED', 'moov atom not found'), [source], mountWith(failure))
  assert.deepEqual(report, { code: 'SOURCE_UNREACHABLE', message: 'it is away' })
})

test('a damaged file of a task is told by that task, a damaged source is refused', () => {
  const error = new AppError('INPUT_DAMAGED', 'it is gone')
  assert.deepEqual(failureReportOf(error, [chunk], mountWith({ error, input: chunk })).badInputs, [12])
  assert.equal(failureReportOf(error, [source], mountWith({ error, input: source })).code, 'SOURCE_REFUSED')
})

test('all damaged files are told at once, whoever found out', () => {
  const other = { name: '13-chunk.mp4', url: 'http://store/other', taskId: 13 }
  const missing = { error: new AppError('INPUT_DAMAGED', 'input "13-chunk.mp4" is not there'), input: other }
  const error = new AppError('INPUT_DAMAGED', 'its digest is wrong', { details: { badInputs: ['12-chunk.mp4', '13-chunk.mp4'] } })
  assert.deepEqual(failureReportOf(error, [source, chunk, other], mountWith(missing)), {
    code: 'INPUT_DAMAGED',
    message: 'its digest is wrong',
    badInputs: [12, 13],
  })
  const away = { error: new AppError('SOURCE_UNREACHABLE', 'it is away'), input: source }
  assert.deepEqual(failureReportOf(error, [source, chunk], mountWith(away, missing)).badInputs, [12, 13])
})

test('inputs that a runner names are told by their tasks', () => {
  const error = new AppError('ENCODE_DAMAGED', 'frames are missing', { details: { badInputs: ['12-chunk.mp4'] } })
  assert.deepEqual(failureReportOf(error, [source, chunk], mountWith()), {
    code: 'INPUT_DAMAGED',
    message: 'frames are missing',
    badInputs: [12],
  })
})

test('a package that is damaged by itself stays so', () => {
  const error = new AppError('ENCODE_DAMAGED', 'tracks end at different times')
  assert.deepEqual(failureReportOf(error, [chunk], mountWith()), { code: 'ENCODE_DAMAGED', message: error.message })
})

test('addresses on loopback are told as names, and a full disk by its own code', () => {
  const error = new AppError('CODEC_FAILED', 'http://127.0.0.1:1/token/source: No space left on device')
  assert.deepEqual(failureReportOf(error, [source], mountWith()), {
    code: 'DISK_FULL',
    message: '"source": No space left on device',
  })
})

test('a message of any length can be sent', () => {
  assert.equal(failureReportOf(new Error('x'.repeat(10_000)), [], undefined).message.length, 4000)
})

test('credentials in an address are told to nobody', () => {
  const error = new AppError('SOURCE_REFUSED', 'rtsp://me:secret@camera/1 answers 401')
  assert.equal(failureReportOf(error, [], undefined).message, 'rtsp://***@camera/1 answers 401')
})
