import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { Value } from 'typebox/value'
import { timelineSchema } from '#api/contract.ts'
import { openBrowser } from '../support/browser.ts'
import { publishTestStream, type TestStream } from '../support/peers/publish-test-stream.ts'
import { type Millrace, showOutputOnFailure, startMillrace } from '../support/program.ts'
import { until } from '../support/until.ts'
import { desktop, openPage, phone, requireBuiltApplication, sidewaysPixels } from '../support/web-page.ts'

const longName = 'warehouse/loading-bay-3/the-camera-above-the-door-that-nobody-can-say-in-one-breath'
const config = `
[streams.lobby]
recording = { enabled = true, segmentSeconds = 4 }
[streams.broken]
sources = ["rtsp://127.0.0.1:9/stream"]
[streams.roof]
sources = ["rtsp://127.0.0.1:9/stream"]
onDemand = true
[streams."${longName}"]
`

function publishLobby(millrace: Millrace): Promise<TestStream> {
  return publishTestStream({ url: `${millrace.rtspUrl}/lobby`, video: 'h264', audio: 'aac' })
}

/** What this test asks of a video element; the browser's own types are not known here. */
type VideoElement = { readonly currentTime: number; getVideoPlaybackQuality(): { totalVideoFrames: number } }
type Progress = { readonly seconds: number; readonly frames: number }

/** Looked for anew each time: it goes and comes with its stream. */
async function findProgress(video: Locator): Promise<Progress | undefined> {
  if ((await video.count()) === 0) return undefined
  const look = (element: VideoElement) => ({
    seconds: element.currentTime,
    frames: element.getVideoPlaybackQuality().totalVideoFrames,
  })
  return await video.evaluate(look, undefined, { timeout: 1000 }).catch(() => undefined)
}

/** Returns when time goes on in the video and frames are decoded. */
async function untilPlaying(video: Locator, what: string): Promise<void> {
  const first = await until(
    async () => {
      const progress = await findProgress(video)
      return progress && progress.frames > 0 ? progress : undefined
    },
    { what: `a first frame ${what}`, timeoutMs: 15_000 },
  )
  await until(
    async () => {
      const progress = await findProgress(video)
      return progress && progress.seconds > first.seconds + 0.4 && progress.frames > first.frames + 5
    },
    { what: `frames that go on ${what}` },
  )
}

async function loadTimeline(millrace: Millrace): Promise<{ startedAtMs: number; endedAtMs: number }[]> {
  const response = await fetch(`${millrace.url}/api/v1/streams/lobby/timeline`)
  const { items } = Value.Parse(timelineSchema, await response.json())
  return items.map(({ startedAt, endedAt }) => ({ startedAtMs: Date.parse(startedAt), endedAtMs: Date.parse(endedAt) }))
}

async function recordedSeconds(millrace: Millrace): Promise<number> {
  const ranges = await loadTimeline(millrace)
  return ranges.reduce((sum, { startedAtMs, endedAtMs }) => sum + (endedAtMs - startedAtMs) / 1000, 0)
}

/** Touches the timeline, which shows the last ten minutes, at a moment. */
async function touchTimeline(page: Page, atMs: number): Promise<void> {
  const track = page.getByRole('slider', { name: 'Moment to play' })
  const [fromMs, toMs] = [await track.getAttribute('aria-valuemin'), await track.getAttribute('aria-valuemax')].map(Number)
  const box = await track.boundingBox()
  assert.ok(box && fromMs !== undefined && toMs !== undefined)
  await page.mouse.click(box.x + ((atMs - fromMs) / (toMs - fromMs)) * box.width, box.y + box.height / 2)
}

/** The wall-clock time that the page says the recording shows. */
async function shownMs(page: Page): Promise<number> {
  const text =
    (await page
      .getByLabel('Picture')
      .getByText(/\d\d:\d\d:\d\d$/)
      .textContent()) ?? ''
  return Date.parse(`${new Date().toISOString().slice(0, 10)}T${text.slice(-8)}Z`)
}

const card = (page: Page, name: string): Locator => page.locator(`[data-stream="${name}"]`)

test('the web application shows live streams and recordings', { timeout: 120_000 }, async (t) => {
  requireBuiltApplication()
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  await using browser = await openBrowser()
  await using lobby = await publishLobby(millrace)
  await using warehouse = await publishTestStream({ url: `${millrace.rtspUrl}/${longName}`, video: 'h264' })
  assert.ok(warehouse)
  const { page, complaints } = await openPage(browser, desktop)

  await t.test('the list has all streams, their state and why there is no picture', async () => {
    await page.goto(millrace.url)
    await card(page, 'lobby').getByText('Live').waitFor()
    await card(page, 'broken').getByText('Connecting').waitFor()
    await card(page, 'broken').getByText('ECONNREFUSED').waitFor()
    await card(page, 'roof').getByText('On demand').waitFor()
    await card(page, longName).getByText('Live').waitFor()
    assert.equal(await page.locator('[data-stream]').count(), 4)
  })

  await t.test('live pictures move in the list', async () => {
    await untilPlaying(card(page, 'lobby').locator('video'), 'on the card')
    await untilPlaying(card(page, longName).locator('video'), 'on the other card')
  })

  await t.test('a stream that goes away says so', async () => {
    await until(async () => (await recordedSeconds(millrace)) > 5, { what: 'five seconds of recording' })
    await lobby.kill()
    await card(page, 'lobby').getByText('Offline').waitFor()
    assert.equal(await card(page, 'lobby').locator('video').count(), 0)
  })

  const offlineAtMs = Date.now()
  await until(() => Date.now() > offlineAtMs + 3000, { what: 'a gap in the recording that can be seen' })
  await using lobbyAgain = await publishLobby(millrace)
  assert.ok(lobbyAgain)

  await t.test('it plays again when it is back, without a reload', async () => {
    await card(page, 'lobby').getByText('Live').waitFor()
    await untilPlaying(card(page, 'lobby').locator('video'), 'after the return')
  })

  await t.test('the page of a stream plays it with low latency', async () => {
    await card(page, 'lobby').click()
    await page.getByRole('heading', { name: 'lobby' }).waitFor()
    await untilPlaying(page.locator('video'), 'on the page')
    const text = await page.getByText(/^\d+\.\d s behind$/).textContent()
    assert.ok(Number.parseFloat(text ?? '') < 3, `it is ${text}`)
  })

  await t.test('a recording plays from where the timeline is touched, across the gap, and back to live', async () => {
    const [before, after] = await loadTimeline(millrace)
    assert.ok(before && after)
    await touchTimeline(page, before.endedAtMs - 4000)
    await untilPlaying(page.locator('video'), 'from the recording')
    const startMs = await shownMs(page)
    assert.ok(startMs > before.startedAtMs - 2000 && startMs < before.endedAtMs, `it shows ${new Date(startMs).toISOString()}`)
    // Whole seconds are shown: the one that the end is in may still be there, and the one that the start is in already.
    const seen: number[] = []
    await until(
      async () => {
        const atMs = await shownMs(page)
        seen.push(atMs)
        return atMs > after.startedAtMs + 500
      },
      { what: 'the picture behind the gap' },
    )
    const inGap = seen.filter((atMs) => atMs > before.endedAtMs + 1000 && atMs < after.startedAtMs - 1500)
    assert.deepEqual(inGap, [])
    await page.getByRole('button', { name: 'Back to live' }).click()
    await page.getByText(/s behind$/).waitFor()
    await untilPlaying(page.locator('video'), 'back at live')
  })

  await t.test('it fits on a phone', async () => {
    const onPhone = await openPage(browser, phone)
    await onPhone.page.goto(millrace.url)
    await untilPlaying(card(onPhone.page, 'lobby').locator('video'), 'on a phone')
    assert.equal(await sidewaysPixels(onPhone.page), 0)
    await card(onPhone.page, longName).click()
    await untilPlaying(onPhone.page.locator('video'), 'on the page on a phone')
    assert.equal(await sidewaysPixels(onPhone.page), 0)
    assert.deepEqual(onPhone.complaints, [])
  })

  assert.deepEqual(complaints, [])
})
