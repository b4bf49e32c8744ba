import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import type { TaskView } from '#api/job-contract.ts'
import { openBrowser } from '../support/browser.ts'
import { runCommand, startCommand } from '../support/command-line.ts'
import { FleetApi, startControl, startWorker } from '../support/fleet.ts'
import { makeMp4 } from '../support/job-files.ts'
import { showOutputOnFailure } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'
import { desktop, openPage, requireBuiltApplication } from '../support/web-page.ts'

/** Five chunks of two seconds. */
const scenario = {
  name: 'house',
  renditions: [{ name: '270p', height: 270, codec: 'h264', preset: 'veryfast', rate: { mode: 'crf', crf: 26 } }],
  audio: { codec: 'aac', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: false },
  chunkSeconds: 2,
  gopSeconds: 1,
  segmentSeconds: 2,
  pictures: false,
}
const film = { name: 'harbour', width: 480, height: 270, seconds: 10 }
const chunkCount = 5

/** The chunks of the picture that are in this state. */
function chunksIn(state: TaskView['state'], tasks: readonly TaskView[]): number[] {
  return tasks.filter((task) => task.kind === 'video' && task.state === state).map(({ chunk }) => chunk)
}

/** Percentages behind the bars that were printed. */
function percentages(output: string): number[] {
  return [...output.matchAll(/\[[#.]+\] (\d+) %/g)].map(([, percent]) => Number(percent))
}

/** How often a number is smaller than the one before. */
function countDrops(numbers: readonly number[]): number {
  return numbers.filter((number, index) => number < (numbers[index - 1] ?? 0)).length
}

type Played = { readonly seconds: number; readonly frames: number; readonly width: number; readonly error: string | null }

/** Where the video of the page is, and how many frames it has shown. */
async function played(page: Page): Promise<Played> {
  return await page.evaluate(`(() => {
    const video = document.querySelector('video')
    const frames = video.getVideoPlaybackQuality().totalVideoFrames
    return { seconds: video.currentTime, frames, width: video.videoWidth, error: video.error && video.error.message }
  })()`)
}

test('a film is submitted and watched, its worker is killed in the middle and comes back, and the result plays', async (t) => {
  requireBuiltApplication()
  await using directory = await temporaryDirectory()
  const file = await makeMp4(directory.path, film)
  await using server = await startControl({ role: 'api' })
  showOutputOnFailure(t, server)
  await using worker = await startWorker([server.url], { env: { MILLRACE_WORKER_SLOTS: '1' } })
  showOutputOnFailure(t, worker)
  const api = new FleetApi(server)
  await api.addScenario(scenario)
  await api.untilWorking()

  const submitted = await runCommand(server, ['jobs', 'submit', file, '--scenario', scenario.name, '--label', 'Harbour'])
  const [, id = ''] = /^Job (\S+) submitted: harbour\.mp4 as house\n/.exec(submitted.output) ?? assert.fail(submitted.errors)
  await using watch = startCommand(server, ['jobs', 'watch', id, '--interval-seconds', '0.2'])

  const isInTheMiddle = async (): Promise<boolean> => {
    const tasks = await api.tasks(id)
    return chunksIn('done', tasks).length >= 2 && chunksIn('leased', tasks).length > 0
  }
  const stopInTheMiddle = async (): Promise<boolean> => {
    if (!(await isInTheMiddle())) return false
    // So that the chunk does not end just before the kill.
    worker.process.kill('SIGSTOP')
    if (await isInTheMiddle()) return true
    worker.process.kill('SIGCONT')
    return false
  }
  await until(stopInTheMiddle, { what: 'two chunks to be done and one to be at work', timeoutMs: 60_000, everyMs: 50 })
  await worker.kill('SIGKILL')
  // Nobody changes anything now.
  const doneBefore = chunksIn('done', await api.tasks(id))
  assert.ok(doneBefore.length >= 2 && doneBefore.length < chunkCount, `killed with chunks ${doneBefore.join()} done`)
  const shownBefore = percentages(watch.output())
  assert.ok((shownBefore.at(-1) ?? 0) > 0 && countDrops(shownBefore) === 0, watch.output())

  await worker.start()
  const { code, output, errors } = await watch.ended
  assert.equal(code, 0, errors)
  const shown = percentages(output)
  // What the killed attempt had of its chunk is lost, once.
  assert.ok(countDrops(shown) <= 1 && shown.length > shownBefore.length && shown.at(-1) === 100, output)
  assert.match(output, /\nCompleted in .+: http:\S+\/master\.m3u8\n/)

  const attempts = (await api.attempts(id)).filter(({ kind }) => kind === 'video')
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const outcomes = attempts.filter((attempt) => attempt.chunk === chunk).map(({ outcome }) => outcome)
    assert.equal(outcomes.at(-1), 'done')
    if (doneBefore.includes(chunk)) assert.deepEqual(outcomes, ['done'], `chunk ${chunk} was done and is not done again`)
  }
  assert.ok(attempts.some(({ outcome }) => outcome === 'lost'))

  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)
  await page.goto(`${server.url}/#/jobs/${id}`)
  await page.getByRole('heading', { name: 'Harbour' }).waitFor()
  await page.getByText('Completed', { exact: true }).waitFor()
  await page.locator('video').waitFor()
  await page.evaluate(`document.querySelector('video').play()`)
  await until(async () => (await played(page)).frames > 0, { what: 'a first picture', timeoutMs: 20_000 })
  const first = await played(page)
  const later = await until(
    async () => {
      const now = await played(page)
      return now.frames >= first.frames + 25 && now.seconds > first.seconds ? now : undefined
    },
    { what: '25 more frames', timeoutMs: 20_000 },
  )
  assert.deepEqual([later.width, later.error], [film.width, null])
  assert.deepEqual(complaints, [])
})
