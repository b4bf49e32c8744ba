import assert from 'node:assert/strict'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { createLog } from '#lib/log.ts'
import { startFileServer } from '../../test/support/file-server.ts'
import { startHttpServer } from '../../test/support/http-server.ts'
import { makeMp4, makePlaylist, makeTruncated } from '../../test/support/job-files.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { TranscodeProcess } from './transcoder.ts'
import { noRolls, type AudioOrder, type TranscodeProgress, type VideoOrder } from './transcoding.ts'

const log = createLog({ level: 'silent', pretty: false })

function videoOrder(sourceUrl: string, outputPath: string, more: Partial<VideoOrder> = {}): VideoOrder {
  return {
    sourceUrl,
    outputPath,
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 100 },
    range: { startFrame: 0, endFrame: 100 },
    rolls: noRolls,
    picture: { deinterlace: false, rotationDegrees: 0, width: 160, height: 90 },
    video: {
      codec: 'h264',
      encoder: 'libx264',
      rate: { mode: 'crf', crf: 23 },
      preset: 'ultrafast',
      bitDepth: 8,
      gopFrames: 25,
      threads: 1,
      color: { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' },
    },
    ...more,
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('one process probes a source and encodes it, and tells how far it is', async () => {
  await using directory = await temporaryDirectory()
  await using files = await startFileServer(directory.path)
  await using transcoder = new TranscodeProcess({ log })
  await makeMp4(directory.path)
  const sourceUrl = `${files.url}/plain.mp4`
  const probe = await transcoder.probe(sourceUrl)
  assert.equal(probe.video?.frameCount, 100)
  const progress: TranscodeProgress[] = []
  const onProgress = (each: TranscodeProgress) => progress.push(each)
  const video = await transcoder.encodeVideo(videoOrder(sourceUrl, join(directory.path, 'video.chunk')), { onProgress })
  assert.equal(video.frameCount, 100)
  assert.deepEqual([progress.at(-1)?.frames, progress.at(-1)?.totalFrames], [100, 100])
  assert.ok((progress.at(-1)?.speed ?? 0) > 0)
  const order: AudioOrder = {
    sourceUrl,
    track: 0,
    startMs: 0,
    durationMs: 4000,
    audio: { codec: 'aac', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: true },
    outputPath: join(directory.path, 'audio.chunk'),
  }
  assert.equal((await transcoder.encodeAudio(order, { onProgress })).durationMs, 4000)
  assert.equal(progress.at(-1)?.frames, progress.at(-1)?.totalFrames)
})

test('what is no film is refused with a code, and the process goes on', async () => {
  await using directory = await temporaryDirectory()
  await using files = await startFileServer(directory.path)
  await using transcoder = new TranscodeProcess({ log })
  const path = (name: string) => join(directory.path, name)
  await makeMp4(directory.path)
  await makeTruncated(directory.path)
  await makePlaylist(directory.path, `${files.url}/plain.mp4`)
  await writeFile(path('concat.txt'), 'ffconcat version 1.0\nfile plain.mp4\n')
  await writeFile(path('empty.mp4'), '')
  await writeFile(path('text.mp4'), 'This is a letter and no film at all. '.repeat(100))
  await writeFile(path('head.mp4'), (await readFile(path('plain.mp4'))).subarray(0, 3000))
  await truncate(path('head.mp4'), 2000)
  const cases: [string, string[]][] = [
    [`${files.url}/truncated.mp4`, ['TRUNCATED']],
    [`${files.url}/head.mp4`, ['MALFORMED']],
    [`${files.url}/text.mp4`, ['MALFORMED', 'UNSUPPORTED']],
    [`${files.url}/playlist.mp4`, ['MALFORMED', 'UNSUPPORTED']],
    [`${files.url}/concat.txt`, ['UNSUPPORTED', 'MALFORMED']],
    [`${files.url}/empty.mp4`, ['MALFORMED', 'SOURCE_UNREACHABLE']],
    [`${files.url}/missing.mp4`, ['SOURCE_UNREACHABLE']],
    ['http://127.0.0.1:1/none.mp4', ['SOURCE_UNREACHABLE']],
    ['http://192.0.2.1/film.mp4', ['UNSUPPORTED']],
    [`file://${path('plain.mp4')}`, ['UNSUPPORTED']],
    [relative(process.cwd(), path('plain.mp4')), ['UNSUPPORTED']],
    [path('truncated.mp4'), ['TRUNCATED']],
    [path('playlist.mp4'), ['MALFORMED', 'UNSUPPORTED']],
    [path('concat.txt'), ['UNSUPPORTED', 'MALFORMED']],
    [path('missing.mp4'), ['SOURCE_UNREACHABLE']],
    [`concat:${files.url}/plain.mp4`, ['UNSUPPORTED']],
  ]
  for (const [url, codes] of cases) {
    const code = await transcoder.probe(url).then(
      () => 'none',
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    )
    assert.ok(codes.includes(code), `${url}: ${code}`)
  }
  assert.equal(
    files.requests.some((request) => request.url === '/plain.mp4'),
    false,
    'a playlist was followed',
  )
  const overHttp = await transcoder.probe(`${files.url}/plain.mp4`)
  assert.equal(overHttp.video?.frameCount, 100)
  assert.deepEqual(await transcoder.probe(path('plain.mp4')), overHttp)
})

test('a server cannot send it elsewhere', async () => {
  await using files = await startHttpServer((request, response) => {
    if (request.url === '/film.mp4') response.writeHead(302, { location: '/other.mp4' }).end()
    else response.writeHead(200).end()
  })
  await using transcoder = new TranscodeProcess({ log })
  await assert.rejects(transcoder.probe(`${files.url}/film.mp4`), { code: 'SOURCE_UNREACHABLE' })
  assert.equal(
    files.requests.some(({ url }) => url === '/other.mp4'),
    false,
  )
})

test('a source that stops to give bytes is noticed', async () => {
  await using directory = await temporaryDirectory()
  const film = await readFile(await makeMp4(directory.path))
  await using files = await startHttpServer((_request, response) => {
    response.writeHead(200, { 'content-length': film.length })
    response.write(film.subarray(0, 1000))
  })
  await using transcoder = new TranscodeProcess({ log, silenceMs: 4000 })
  await assert.rejects(transcoder.probe(`${files.url}/film.mp4`), { code: 'SOURCE_SILENT', message: /2000 ms/ })
})

test('a source that breaks off is not taken for its end', async () => {
  await using directory = await temporaryDirectory()
  const film = await readFile(await makeMp4(directory.path))
  await using files = await startHttpServer((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const cut = Math.min(film.length, start + 20_000)
    response.writeHead(206, {
      'content-length': film.length - start,
      'content-range': `bytes ${start}-${film.length - 1}/${film.length}`,
    })
    // The index at the end can be read; what lies before it breaks off.
    if (start > film.length * 0.9) response.end(film.subarray(start))
    else response.write(film.subarray(start, cut), () => response.destroy())
  })
  await using transcoder = new TranscodeProcess({ log })
  const order = videoOrder(`${files.url}/film.mp4`, join(directory.path, 'a.chunk'))
  await assert.rejects(transcoder.encodeVideo(order), { code: 'SOURCE_UNREACHABLE' })
})

test('a canceled order ends the process', async () => {
  await using directory = await temporaryDirectory()
  await using files = await startFileServer(directory.path)
  await makeMp4(directory.path)
  await using transcoder = new TranscodeProcess({ log })
  const { pid } = transcoder
  assert.ok(pid)
  const abort = new AbortController()
  // The last picture is shown for an hour.
  const order = videoOrder(`${files.url}/plain.mp4`, join(directory.path, 'a.chunk'), {
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 90_000 },
    range: { startFrame: 0, endFrame: 90_000 },
  })
  const seen: number[] = []
  const encoding = transcoder.encodeVideo(order, { signal: abort.signal, onProgress: ({ frames }) => seen.push(frames) })
  const failed = assert.rejects(encoding, /not wanted/)
  await until(() => seen.length > 1)
  abort.abort(new Error('not wanted'))
  await failed
  assert.equal(exists(pid), false)
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  )
})

test('an order that does not follow its schema is refused', async () => {
  await using transcoder = new TranscodeProcess({ log })
  const order = videoOrder('http://127.0.0.1:1/none.mp4', '')
  await assert.rejects(transcoder.encodeVideo(order), { code: 'REQUEST_INVALID' })
})

test('encoders are found by trying', async () => {
  await using transcoder = new TranscodeProcess({ log })
  const { encoders, filters } = await transcoder.listEncoders()
  for (const name of ['libx264', 'libx265', 'libsvtav1', 'libvpx-vp9', 'aac', 'libopus']) assert.ok(encoders.includes(name), name)
  assert.ok(filters.every((name) => name === 'libvmaf'))
})
