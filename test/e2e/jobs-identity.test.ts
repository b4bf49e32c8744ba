import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { JobView, TaskView } from '#api/job-contract.ts'
import { startFileServer } from '../support/file-server.ts'
import { FleetApi, startControl, startWorker } from '../support/fleet.ts'
import type { SmallHttpServer } from '../support/http-server.ts'
import { makeFile } from '../support/peers/make-file.ts'
import { onlyFilmTrack, readFilm } from '../support/peers/read-film.ts'
import { showOutputOnFailure, type Millrace } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const frames = 400
const chunks = 4

/** Long enough that a chunk with what is encoded around it does not reach both ends. */
async function makeGrainyFilm(directory: string): Promise<string> {
  const filters =
    'mandelbrot=size=256x144:rate=25:end_scale=0.05:end_pts=400,trim=end_frame=400,noise=alls=14:allf=t,format=yuv420p'
  const encoderOptions = { preset: 'ultrafast', crf: '12', g: '60', bf: '2' }
  const path = join(directory, 'grain.mp4')
  return await makeFile({ path, format: 'mp4', tracks: [{ kind: 'video', filters, encoder: 'libx264', encoderOptions }] })
}

const encoders = [
  { name: 'x264', codec: 'h264', preset: 'medium', rate: { mode: 'crf', crf: 23 } },
  { name: 'x265', codec: 'h265', preset: 'ultrafast', rate: { mode: 'crf', crf: 26 } },
  { name: 'svt-av1', codec: 'av1', preset: '12', rate: { mode: 'crf', crf: 40 } },
]

suite('chunks with constant quality are, frame for frame, what one pass makes', () => {
  const stack = new AsyncDisposableStack()
  let control: Millrace
  let worker: Millrace
  let api: FleetApi
  let server: SmallHttpServer
  const onePass = new Map<string, readonly string[]>()

  before(async () => {
    const files = stack.use(await temporaryDirectory())
    await makeGrainyFilm(files.path)
    server = stack.use(await startFileServer(files.path))
    control = stack.use(await startControl())
    worker = stack.use(await startWorker([control.url]))
    api = new FleetApi(control)
    await api.untilWorking()
    for (const { name, ...encoder } of encoders) {
      const scenario = { renditions: [{ ...encoder, name: '144p', height: 144 }], gopSeconds: 2, pictures: false }
      await api.addScenario({ ...scenario, name: `${name}-whole`, chunkSeconds: 0 })
      await api.addScenario({ ...scenario, name: `${name}-chunks`, chunkSeconds: 4 })
    }
    const whole = await Promise.all(encoders.map(({ name }) => submit(`${name}-whole`)))
    for (const [index, job] of whole.entries()) {
      const done = await api.untilState(job.id, 'completed')
      assert.equal(done.plan?.renditions[0]?.chunkCount, 1)
      onePass.set(encoders[index]?.name ?? '', await digests(done))
    }
  })
  after(() => stack.disposeAsync())

  const submit = (scenario: string): Promise<JobView> => api.submit({ scenario, source: { url: `${server.url}/grain.mp4` } })
  const isPicture = ({ kind }: Pick<TaskView, 'kind'>): boolean => kind === 'video'

  /** Of the decoded pictures of the published film. */
  async function digests({ result }: JobView): Promise<string[]> {
    const { pictures, decodeErrors } = onlyFilmTrack(await readFilm({ url: `${control.url}${result?.entryUrl}` }), 'video')
    assert.equal(decodeErrors, 0)
    assert.equal(pictures.length, frames)
    return pictures.map(({ sha256 }) => sha256)
  }

  async function assertIdentical(name: string, job: JobView): Promise<void> {
    const done = await api.untilState(job.id, 'completed')
    assert.equal(done.plan?.renditions[0]?.chunkCount, chunks)
    const [expected = [], actual] = [onePass.get(name), await digests(done)]
    const different = expected.flatMap((sha256, frame) => (actual[frame] === sha256 ? [] : [frame]))
    assert.deepEqual(different, [], `${name}: ${different.length} of ${frames} frames are different`)
    assert.equal(new Set(actual).size, frames, 'no picture is there twice')
  }

  for (const { name } of encoders) {
    test(name, async (t) => {
      showOutputOnFailure(t, worker)
      await assertIdentical(name, await submit(`${name}-chunks`))
    })
  }

  test('also when the worker is killed in the middle and starts again: chunks that were done are kept', async (t) => {
    showOutputOnFailure(t, control)
    const jobs = await Promise.all(encoders.map(({ name }) => submit(`${name}-chunks`)))
    const pictures = async () => (await Promise.all(jobs.map(({ id }) => api.tasks(id)))).flat().filter(isPicture)
    const done = await until(async () => {
      const tasks = await pictures()
      const finished = tasks.filter(({ state }) => state === 'done')
      return finished.length > 0 && tasks.some(({ state }) => state === 'leased') ? finished : undefined
    })
    await worker.kill('SIGKILL')
    await worker.start()
    for (const [index, { name }] of encoders.entries()) await assertIdentical(name, jobs[index] ?? assert.fail('no job'))
    const attempts = (await Promise.all(jobs.map(({ id }) => api.attempts(id)))).flat()
    assert.ok(
      attempts.some(({ outcome }) => outcome === 'lost'),
      'the worker left something behind',
    )
    const successes = attempts.filter((attempt) => isPicture(attempt) && attempt.outcome === 'done')
    assert.equal(successes.length, chunks * jobs.length, 'each chunk counts once')
    for (const { id } of done) assert.equal(attempts.filter(({ taskId }) => taskId === id).length, 1, `task ${id} was done`)
  })
})
