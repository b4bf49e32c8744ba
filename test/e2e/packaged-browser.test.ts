import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeAudio, makeVideo, orderOf } from '../../src/codec/process/packaging/chunks.fixture.ts'
import { packageWork } from '../../src/codec/process/packaging/package.ts'
import { openBrowser } from '../support/browser.ts'
import { startFileServer } from '../support/file-server.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { desktop, openPage } from '../support/web-page.ts'

const hlsScript = fileURLToPath(new URL('../../node_modules/hls.js/dist/hls.min.js', import.meta.url))
const run = { signal: new AbortController().signal, nowMs: () => performance.now(), onProgress: () => {} }

/** Plays with hls.js and tells where it is. */
const hlsPage = `<!doctype html><video id="video" muted autoplay></video><script src="hls.min.js"></script><script>
  const video = document.getElementById('video')
  const hls = new Hls({ autoStartLoad: true })
  window.state = { errors: [], levels: 0, stalls: 0, level: -1 }
  hls.on(Hls.Events.ERROR, (_, data) => state.errors.push(data.details + ' ' + (data.error ? data.error.message : '')))
  hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => { state.levels = data.levels.length })
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => { state.level = data.level })
  video.addEventListener('ended', () => { state.ended = true })
  hls.loadSource('master.m3u8')
  hls.attachMedia(video)
  window.ranges = () => Array.from({ length: video.buffered.length }, (_, i) => [video.buffered.start(i), video.buffered.end(i)])
  window.frames = () => video.getVideoPlaybackQuality().totalVideoFrames
</script>`

type State = { errors: string[]; levels: number; ended?: boolean }

test('hls.js plays H.264 and AAC from byte ranges of CMAF files, from the first frame to the last', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [
    await makeVideo(directory.path, { codec: 'h264', name: 'large', width: 384, height: 216 }),
    await makeVideo(directory.path, { codec: 'h264', name: 'small' }),
    await makeAudio(directory.path, { codec: 'aac', language: 'eng' }),
  ]
  await packageWork(orderOf(tracks, output.path), run)
  await cp(hlsScript, join(output.path, 'hls.min.js'))
  await writeFile(join(output.path, 'hls.html'), hlsPage)
  await using server = await startFileServer(output.path)
  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)
  await page.goto(`${server.url}/hls.html`)
  await page.waitForFunction('window.state.ended')
  const state: State = await page.evaluate('window.state')
  assert.deepEqual(state.errors, [])
  assert.equal(state.levels, 2)
  const [only, ...others]: [number, number][] = await page.evaluate('window.ranges()')
  assert.ok(only)
  assert.deepEqual(others, [], 'without a gap')
  assert.ok(only[0] < 0.03 && Math.abs(only[1] - 6) < 0.05, `${only[0]} to ${only[1]}`)
  const frames: number = await page.evaluate('window.frames()')
  assert.ok(frames >= 140, `${frames} frames were shown`)
  // The other rendition, from the middle on: the same times.
  await page.evaluate('hls.currentLevel = 0, video.currentTime = 3.1, video.play(), state.ended = false')
  await page.waitForFunction('window.state.ended')
  const after: State = await page.evaluate('window.state')
  assert.deepEqual(after.errors, [])
  assert.deepEqual(
    complaints.filter((line) => !line.includes('favicon')),
    [],
  )
})

test('a browser plays the progressive MP4, and a fragmented file by itself', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [await makeVideo(directory.path, { codec: 'h264' }), await makeAudio(directory.path, { codec: 'aac' })]
  await packageWork(orderOf(tracks, output.path), run)
  await packageWork(orderOf(tracks, output.path, { format: 'mp4' }), run)
  await using server = await startFileServer(output.path)
  await using browser = await openBrowser()
  const { page } = await openPage(browser, desktop)
  for (const [name, seconds] of [
    ['video.mp4', 6],
    ['h264.mp4', 6],
  ] as const) {
    await writeFile(join(output.path, 'plain.html'), `<!doctype html><video id="video" muted src="${name}"></video>`)
    await page.goto(`${server.url}/plain.html`)
    const shown: { duration: number; width: number; time: number } = await page.evaluate(`new Promise((resolve, reject) => {
      const video = document.getElementById('video')
      video.onerror = () => reject(new Error(video.error.message))
      video.onended = () => resolve({ duration: video.duration, width: video.videoWidth, time: video.currentTime })
      video.playbackRate = 4
      video.play()
    })`)
    assert.equal(shown.width, 192, name)
    assert.ok(Math.abs(shown.duration - seconds) < 0.03, `${name} lasts ${shown.duration} s`)
  }
})
