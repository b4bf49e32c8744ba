import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { Page } from 'playwright-core'
import type { JobView } from '#api/job-contract.ts'
import { makeAudio, makeVideo, orderOf } from '../../src/codec/process/packaging/chunks.fixture.ts'
import { packageWork } from '../../src/codec/process/packaging/package.ts'
import { openBrowser } from '../support/browser.ts'
import { sampleJob, sampleNode, sampleQueuedJob, sampleScenario, sampleTasks } from '../support/job-samples.ts'
import { jobWorld, startJobServer, type JobWorld } from '../support/job-server.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'
import { desktop, openPage, phone, requireBuiltApplication, sidewaysPixels } from '../support/web-page.ts'

const built = fileURLToPath(new URL('../../web/dist', import.meta.url))

/** The job API as its schemas say it is, the web application, and at `/out/` a directory of published files. */
async function startServer(world: JobWorld, published = built): Promise<AsyncDisposable & { readonly url: string }> {
  const app = Fastify()
  await app.register(fastifyStatic, { root: built })
  await app.register(fastifyStatic, { root: published, prefix: '/out/', decorateReply: false })
  app.get('/api/v1/streams', async () => ({ items: [] }))
  await app.ready()
  return await startJobServer(world, (request, response) => app.routing(request, response))
}

function put(world: JobWorld, job: JobView): void {
  world.jobs.set(job.id, [job])
}

/** States of the chunks of a rendition, from left to right. */
async function chunkStates(page: Page, rendition: string): Promise<string[]> {
  const cells = await page.locator(`[data-row="${rendition}"] [data-task]`).all()
  return await Promise.all(cells.map(async (cell) => (await cell.getAttribute('data-state')) ?? ''))
}

test('a job is submitted in the page, followed chunk by chunk, and its result plays', { timeout: 120_000 }, async (t) => {
  requireBuiltApplication()
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [
    await makeVideo(directory.path, { codec: 'h264', name: '720p', width: 384, height: 216 }),
    await makeVideo(directory.path, { codec: 'h264', name: '480p' }),
    await makeAudio(directory.path, { codec: 'aac', language: 'eng' }),
  ]
  const run = { signal: new AbortController().signal, nowMs: () => performance.now(), onProgress: () => {} }
  const facts = await packageWork(orderOf(tracks, output.path), run)
  const world = jobWorld({ jobs: new Map() })
  await using server = await startServer(world, output.path)
  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)

  await t.test('without jobs it says how to submit one', async () => {
    await page.goto(`${server.url}/#/jobs`)
    await page.getByRole('heading', { name: 'No jobs yet' }).waitFor()
    await page.getByText(/^millrace jobs submit film\.mp4/).waitFor()
  })

  await t.test('a file is uploaded in parts, and the page of its job opens', async () => {
    const file = join(directory.path, 'my film.mp4')
    const content = randomBytes(250_000)
    await writeFile(file, content)
    await page.getByRole('button', { name: 'New job' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'New job' })
    await dialog.getByRole('button', { name: 'Submit job' }).click()
    await dialog.getByText('Choose a file.').waitFor()
    await dialog.getByLabel('File', { exact: true }).setInputFiles(file)
    await dialog.getByRole('textbox', { name: 'Label' }).fill('Harbour')
    put(world, sampleQueuedJob({ label: 'Harbour' }))
    await dialog.getByRole('button', { name: 'Submit job' }).click()
    await page.getByRole('heading', { name: 'Harbour' }).waitFor()
    await page.getByText('Waiting', { exact: true }).waitFor()
    assert.deepEqual(Buffer.concat([0, 1, 2].map((part) => world.parts.get(part) ?? Buffer.of())), content)
    assert.deepEqual(world.bodies.find(({ what }) => what === 'POST jobs')?.body, {
      scenario: 'abr-ladder',
      queue: 'default',
      priority: 'medium',
      source: { object: 'sources/1/my film.mp4' },
      label: 'Harbour',
    })
  })

  await t.test('its chunks fill up by their states', async () => {
    put(world, sampleJob({ label: 'Harbour', done: 2 }))
    await until(async () => (await chunkStates(page, '720p')).join() === 'done,done,leased,ready,ready', { what: 'five chunks' })
    await page.locator('[data-row="720p"] [data-task]').nth(2).click()
    await page.getByText('720p, chunk 3 is being worked on: 40 %, encoder-2', { exact: true }).waitFor()
    await page.getByText('6 of 15 chunks').waitFor()
    await page.getByLabel('At work').getByText('encoder-3').waitFor()
    await page.getByLabel('Attempts').getByText('Worker lost').waitFor()
    await page.getByLabel('Log', { exact: true }).getByText('the source ended early').waitFor()
  })

  await t.test('when it is done its result plays, with sound', async () => {
    const files = facts.files.map((file) => ({ ...file, url: `/out/${file.name}` }))
    const result = { ...facts, files, prefix: 'jobs/job-1/out/3/', entryUrl: `/out/${facts.entry}` }
    put(world, sampleJob({ label: 'Harbour', done: 5, result }))
    await page.locator('video').waitFor()
    const ask = (what: string): Promise<unknown> => page.evaluate(`document.querySelector('video').${what}`)
    await until(async () => Number(await ask('readyState')) >= 3, { what: 'a first picture' })
    assert.deepEqual([await ask('paused'), await ask('muted')], [true, false], 'nothing starts by itself')
    await ask('play()')
    await until(() => ask('ended'), { what: 'its end', timeoutMs: 20_000 })
    const decoded = await ask('webkitAudioDecodedByteCount')
    assert.ok(Number(decoded) > 0, 'sound was decoded')
    await page.getByText(`${facts.files.length} files`).click()
    await page.getByRole('link', { name: 'master.m3u8' }).waitFor()
  })

  assert.deepEqual(complaints, [])
})

test('jobs are canceled, tried again and found', { timeout: 60_000 }, async (t) => {
  requireBuiltApplication()
  const error = { code: 'CODEC_FAILED', message: 'chunk 3 of 1080p failed 4 times' }
  const failed = sampleJob({ id: 'job-2', sequence: 2, state: 'failed', isOver: true, error, tasks: sampleTasks({ failed: 2 }) })
  const jobs = [sampleJob({ label: 'Harbour' }), failed, sampleJob({ id: 'job-3', sequence: 3, done: 5, label: 'Market' })]
  const world = jobWorld({ jobs: new Map(jobs.map((job) => [job.id, [job]])) })
  await using server = await startServer(world)
  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)
  const listed = (): Promise<number> => page.locator('[data-job]').count()

  await t.test('the list is narrowed by state and text', async () => {
    await page.goto(`${server.url}/#/jobs`)
    await until(async () => (await listed()) === 3)
    await page.getByRole('button', { name: 'Failed 1' }).click()
    await until(async () => (await listed()) === 1)
    await page.getByText('chunk 3 of 1080p failed 4 times').waitFor()
    await page.getByRole('button', { name: 'All 3' }).click()
    await page.getByRole('searchbox', { name: 'Find by name' }).fill('Market')
    await until(async () => (await listed()) === 1)
  })

  await t.test('a failed job says why, and is tried again', async () => {
    await page.goto(`${server.url}/#/jobs/job-2`)
    await page.getByRole('alert').getByText('chunk 3 of 1080p failed 4 times').waitFor()
    assert.deepEqual(await chunkStates(page, '1080p'), ['done', 'done', 'failed', 'ready', 'ready'])
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('Waiting', { exact: true }).waitFor()
  })

  await t.test('a running job is canceled after a question', async () => {
    await page.goto(`${server.url}/#/jobs/job-1`)
    await page.getByRole('button', { name: 'Cancel job…' }).click()
    await page.getByRole('dialog', { name: 'Cancel this job?' }).getByRole('button', { name: 'Cancel job' }).click()
    await page.getByText('Canceling', { exact: true }).waitFor()
  })

  await t.test('a job that is not there is told', async () => {
    await page.goto(`${server.url}/#/jobs/job-9`)
    await page.getByRole('heading', { name: 'No job “job-9”' }).waitFor()
  })

  // The browser itself tells of the answer 404.
  assert.deepEqual(
    complaints.filter((line) => !line.includes('job-9')),
    [],
  )
})

test('workers are drained and removed, scenarios added and removed', { timeout: 60_000 }, async (t) => {
  requireBuiltApplication()
  const nodes = [sampleNode(), sampleNode({ id: 'encoder-2', name: 'encoder-2', state: 'lost', usedSlots: 0 })]
  const world = jobWorld({
    nodes: new Map(nodes.map((node) => [node.id, node])),
    scenarios: new Map([['abr-ladder', sampleScenario()]]),
  })
  await using server = await startServer(world)
  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)

  await t.test('workers', async () => {
    await page.goto(`${server.url}/#/workers`)
    const [first, second] = [page.locator('[data-node="encoder-1"]'), page.locator('[data-node="encoder-2"]')]
    await first.getByText('5 of 8').waitFor()
    await page.getByText('5 of 8 slots in use').waitFor()
    await first.getByRole('button', { name: 'Drain' }).click()
    await first.getByText('Draining').waitFor()
    await second.getByRole('button', { name: 'Remove…' }).click()
    await page.getByRole('button', { name: 'Remove worker' }).click()
    await second.waitFor({ state: 'detached' })
  })

  await t.test('scenarios', async () => {
    await page.getByRole('link', { name: 'Scenarios' }).click()
    await page.locator('[data-scenario="abr-ladder"] summary').click()
    await page.locator('[data-scenario="abr-ladder"]').getByRole('button', { name: 'Copy…' }).click()
    const dialog = page.getByRole('dialog', { name: 'New scenario' })
    const text = dialog.getByRole('textbox', { name: 'Scenario' })
    const proposed = await text.inputValue()
    await text.fill('{')
    await dialog.getByRole('button', { name: 'Add scenario' }).click()
    await dialog.getByText(/^This is no JSON/).waitFor()
    await text.fill(proposed)
    await dialog.getByRole('button', { name: 'Add scenario' }).click()
    const added = page.locator('[data-scenario="my-abr-ladder"]')
    await added.locator('summary').click()
    await added.getByRole('button', { name: 'Remove…' }).click()
    await page.getByRole('button', { name: 'Remove scenario' }).click()
    await added.waitFor({ state: 'detached' })
  })

  assert.deepEqual(complaints, [])
})

test('nothing about jobs is wider than a phone', { timeout: 60_000 }, async () => {
  requireBuiltApplication()
  const label = 'Council meeting of the third of March, second part, with the vote on the harbour and everything after it'
  const long = sampleNode({ id: 'encoder-2', name: 'encoder-2.rack-7.row-3.hall-1.a-data-centre-with-a-long-name.example.org' })
  const world = jobWorld({
    jobs: new Map([
      ['job-1', [sampleJob({ label })]],
      ['job-2', [sampleJob({ id: 'job-2', done: 5 })]],
    ]),
    nodes: new Map([sampleNode(), long].map((node) => [node.id, node])),
  })
  await using server = await startServer(world)
  await using browser = await openBrowser()
  const { page } = await openPage(browser, phone)
  for (const [place, text] of [
    ['jobs', label],
    ['jobs/job-1', 'At work'],
    ['jobs/job-2', '7 files'],
    ['workers', long.name],
    ['scenarios', 'abr-ladder'],
  ] as const) {
    await page.goto(`${server.url}/#/${place}`)
    await page.getByText(text).first().waitFor()
    assert.equal(await sidewaysPixels(page), 0, place)
  }
})
