import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** What each folder may import besides itself. This table is the architecture: the first row knows nothing, the last knows all. */
const mayImport: Record<string, readonly string[]> = {
  lib: [],
  bytes: ['lib'],
  formats: ['lib', 'bytes'],
  store: ['lib', 'bytes'],
  codec: ['lib', 'bytes', 'formats'],
  live: ['lib', 'bytes', 'formats', 'codec', 'store'],
  'servers/rtsp': ['lib', 'bytes', 'formats', 'live'],
  'servers/hls': ['lib', 'bytes', 'formats', 'live'],
  eventlog: ['lib', 'bytes', 'formats', 'store'],
  'servers/kafka': ['lib', 'bytes', 'formats', 'eventlog'],
  'servers/grpc': ['lib', 'bytes', 'formats', 'eventlog'],
  jobs: ['lib', 'store', 'codec'],
  auth: ['lib', 'store'],
  ops: ['lib', 'store'],
  api: ['lib', 'bytes', 'formats', 'store', 'codec', 'live', 'eventlog', 'jobs', 'auth', 'ops'],
  roles:
    'lib bytes formats store codec live eventlog jobs auth ops api servers/rtsp servers/hls servers/kafka servers/grpc'.split(
      ' ',
    ),
  cli: ['lib', 'api/contract.ts', 'api/log-contract.ts', 'api/job-contract.ts', 'api/key-contract.ts', 'roles', 'codec'],
}

/** Modules that a folder must not reach for. */
const mustNotUse: Record<string, RegExp> = {
  lib: /^node:(net|http|https|dgram|tls|sqlite)$|^(kysely|pg|fastify)/,
  bytes: /^node:(?!buffer)|^(pino|kysely)/,
  formats:
    /^node:(net|http|https|dgram|tls|fs|fs\/promises|timers|timers\/promises|sqlite|child_process)$|^(pino|kysely|fastify)/,
  'servers/rtsp': /^(kysely|pg|node:sqlite)/,
  'servers/hls': /^(kysely|pg|node:sqlite)/,
  'servers/kafka': /^(kysely|pg|node:sqlite)/,
  'servers/grpc': /^(kysely|pg|node:sqlite)/,
  eventlog: /^node:(net|http|https|dgram|tls)$/,
  codec: /^(kysely|pg|fastify|node:https?)$/,
}

type Import = { file: string; folder: string; target: string }

function folderOf(path: string): string {
  const [first = '', second = ''] = path.split('/')
  return first === 'servers' ? `${first}/${second}` : first
}

function imports(): Import[] {
  const root = import.meta.dirname
  return globSync('*/**/*.ts', { cwd: root })
    .filter((file) => !/\.(test|fixture)\.ts$/.test(file))
    .flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g)].map(([, target = '']) => ({
        file,
        folder: folderOf(file),
        target,
      })),
    )
}

test('each folder imports only the folders it may', () => {
  const wrong = imports().filter(({ folder, target }) => {
    const allowed = mayImport[folder]
    assert.ok(allowed, `${folder}/ is not in the table`)
    if (!target.startsWith('#')) return false
    const path = target.slice(1)
    return folderOf(path) !== folder && !allowed.includes(folderOf(path)) && !allowed.includes(path)
  })
  assert.deepEqual(wrong, [])
})

test('no folder reaches for what it must not have', () => {
  const wrong = imports().filter(({ folder, target }) => mustNotUse[folder]?.test(target))
  assert.deepEqual(wrong, [])
})

test('relative imports stay within a folder', () => {
  const wrong = imports().filter(({ target }) => target.startsWith('../../'))
  assert.deepEqual(wrong, [])
})

test('only the codec processes load FFmpeg', () => {
  const wrong = imports().filter(({ file, target }) => target.startsWith('node-av') && !file.startsWith('codec/process/'))
  assert.deepEqual(wrong, [])
})
