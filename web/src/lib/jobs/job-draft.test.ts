import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Check } from 'typebox/value'
import { jobCreateSchema } from '#api/job-contract.ts'
import { draftProblem, emptyDraft, jobOf, type JobDraft } from './job-draft.ts'

const draft = (more: Partial<JobDraft>): JobDraft => ({ ...emptyDraft(), scenario: 'abr-ladder', ...more })
const file = new File(['film'], 'film.mp4')

test('a form says what it lacks', () => {
  for (const [given, chosen, problem] of [
    [{}, undefined, 'Choose a file.'],
    [{}, new File([], 'empty.mp4'), 'The file is empty.'],
    [{}, file, ''],
    [{ kind: 'url' }, undefined, 'Write its address.'],
    [{ kind: 'url', place: 'film.mp4' }, undefined, 'An address begins with http:// or https://.'],
    [{ kind: 'url', place: ' https://example.com/film.mp4 ' }, undefined, ''],
    [{ kind: 'object', place: ' ' }, undefined, 'Write its key.'],
    [{ kind: 'recording' }, undefined, 'Choose a stream.'],
    [{ kind: 'recording', place: 'gate', from: '2026-01-02T10:00' }, undefined, 'Say from when to when.'],
    [
      { kind: 'recording', place: 'gate', from: '2026-01-02T10:00', to: '2026-01-02T09:00' },
      undefined,
      'It ends before it begins.',
    ],
    [{ kind: 'recording', place: 'gate', from: '2026-01-02T10:00', to: '2026-01-02T11:00' }, undefined, ''],
  ] as const)
    assert.equal(draftProblem(draft(given), chosen), problem)
})

test('what the form says is what the server takes', () => {
  for (const [given, source] of [
    [{}, { object: 'sources/1/film.mp4' }],
    [{ kind: 'object', place: ' films/a.mp4 ' }, { object: 'films/a.mp4' }],
    [{ kind: 'url', place: 'https://example.com/a' }, { url: 'https://example.com/a' }],
    [
      { kind: 'recording', place: 'gate', from: '2026-01-02T10:00:00Z', to: '2026-01-02T11:00:00Z' },
      { recording: { stream: 'gate', from: '2026-01-02T10:00:00.000Z', to: '2026-01-02T11:00:00.000Z' } },
    ],
  ] as const) {
    const job = jobOf(draft(given), 'sources/1/film.mp4')
    assert.deepEqual(job, { scenario: 'abr-ladder', queue: 'default', priority: 'medium', source })
    assert.ok(Check(jobCreateSchema, job))
  }
})

test('a label and a part of the source are sent when they are given', () => {
  const { label, clip } = jobOf(draft({ label: ' Evening ', clipTo: 30 }), 'a')
  assert.deepEqual([label, clip], ['Evening', { fromSeconds: 0, toSeconds: 30 }])
  assert.deepEqual(jobOf(draft({ clipFrom: 5 }), 'a').clip, { fromSeconds: 5 })
})
