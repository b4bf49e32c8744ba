/**
 * One film of 1080p30 to H.264 and AAC: by a fleet (HLS and DASH, verified) and by the `ffmpeg` command line, with the same settings of the encoder. Wall time,
 * and CPU of everything that runs for it: server, worker, codec process. Then how much faster two workers are than one, each on a processor core of its own.
 * Servers and workers run with the times and the environment that `bin/millrace` gives them, and have done a job of a few seconds before; the fleet of one stays
 * up for all rounds, and its first round has a server in it that is a minute old.
 *
 * Run: node bench/transcode.ts [seconds of film, 60] [seconds of a chunk, 30] [preset of x264, veryfast] [rounds, 3]
 *
 * On machines that share their processors speed changes by a tenth within minutes: each fleet is compared with what `ffmpeg` took in the mean of the runs before
 * and after it, and the median of the rounds is told.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ApiClient } from '#cli/client.ts'
import { JobClient } from '#cli/job-client.ts'
import { uploadSource } from '#cli/source-upload.ts'
import { encoderOptions } from '#codec/process/transcode/encoder-options.ts'
import { hasAvx512 } from '#codec/process/transcode/cpu.ts'
import { threadsFor } from '#jobs/plan/encoder-choice.ts'
import { ensureProgram } from '../test/support/ensure-program.ts'
import { FleetApi, shortTimes, startControl, startWorker } from '../test/support/fleet.ts'
import type { Millrace } from '../test/support/program.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { grainyFilm } from './support/film.ts'
import { childrenCpuSeconds, endedChildrenCpuSeconds, treeCpuSeconds } from './support/process-usage.ts'

const run = promisify(execFile)
const seconds = Number(process.argv[2] ?? 60)
const chunkSeconds = Number(process.argv[3] ?? 30)
const preset = process.argv[4] ?? 'veryfast'
const rounds = Number(process.argv[5] ?? 3)

const size = { width: 1920, height: 1080 }
const crf = 23
const lookEveryMs = 1000
const warmSeconds = 6
/** What `bin/millrace` sets, and no times that are for tests. The first backup, one in six hours, would fall into the minute that is measured. */
const env = {
  MILLRACE_BACKUP_ENABLED: 'false',
  ...Object.fromEntries(Object.keys(shortTimes).map((name) => [name, undefined])),
  MILLRACE_WORKER_NICENESS: '0',
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../node_modules/.cache/millrace', import.meta.url)),
  MALLOC_ARENA_MAX: '2',
  UV_THREADPOOL_SIZE: '16',
}
const gopFrames = 60
const audioBitsPerSecond = 128_000
const threads = threadsFor(size)
const color = { primaries: 'unknown', transfer: 'unknown', matrix: 'unknown', range: 'unknown' } as const
const rate = { mode: 'crf', crf } as const
const encoder = { codec: 'h264', encoder: 'libx264', rate, preset, bitDepth: 8, gopFrames, threads, color } as const
const videoOptions = encoderOptions(encoder, { hasAvx512: hasAvx512() })

const scenario = {
  renditions: [{ name: '1080p', height: size.height, codec: 'h264', rate, preset }],
  audio: { codec: 'aac', bitsPerSecond: audioBitsPerSecond, channels: 2, sampleRate: 48_000, normalize: false },
  gopSeconds: 2,
  pictures: false,
}

/** `parts`: of a fleet, what of the CPU was whose. */
type Sample = { readonly wallSeconds: number; readonly cpuSeconds: number; readonly parts?: Parts }
type Parts = { readonly server: number; readonly workers: number; readonly codec: number }

/** A program that ends when the film is done. */
async function runProgram(command: string, argv: readonly string[]): Promise<Sample> {
  const [startMs, before] = [performance.now(), endedChildrenCpuSeconds()]
  const child = spawn(command, argv, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${command} ended with ${code}`)
  return { wallSeconds: (performance.now() - startMs) / 1000, cpuSeconds: endedChildrenCpuSeconds() - before }
}

async function runFfmpeg(film: string, directory: string): Promise<Sample> {
  const ffmpeg = await ensureProgram({ command: 'ffmpeg', debianPackage: 'ffmpeg' })
  const video = Object.entries(videoOptions).flatMap(([name, value]) => [`-${name}:v`, value])
  const input = ['-v', 'error', '-nostdin', '-y', '-threads', String(threads), '-i', film]
  const sound = ['-c:a', 'aac', '-b:a', String(audioBitsPerSecond)]
  const hls = ['-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_flags', 'single_file', '-hls_time', '6']
  const pictures = ['-c:v', 'libx264', '-threads', String(threads), ...video]
  return await runProgram(ffmpeg, [...input, ...pictures, ...sound, ...hls, join(directory, 'film.m3u8')])
}

type FleetOptions = { readonly slots: number; readonly cores: readonly (string | undefined)[] }
type Fleet = AsyncDisposable & { readonly control: Millrace; readonly workers: readonly Millrace[] }

/** A worker for each of the cores; `undefined`: on all of them. */
async function startFleet({ slots, cores }: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack()
  const control = stack.use(await startControl({ env }))
  const workers: Millrace[] = []
  for (const core of cores) {
    const worker = stack.use(await startWorker([control.url], { env: { ...env, MILLRACE_WORKER_SLOTS: String(slots) } }))
    if (core !== undefined) await run('taskset', ['-a', '-p', '-c', core, String(worker.process.pid)])
    workers.push(worker)
  }
  const api = new FleetApi(control)
  await api.untilWorking(cores.length)
  for (const length of new Set([0, chunkSeconds])) {
    await api.addScenario({ ...scenario, name: scenarioName(length), chunkSeconds: length })
  }
  await transcode(control, { film: await grainyFilm({ seconds: warmSeconds, ...size }), chunkSeconds: 0 }, () => {})
  const owned = stack.move()
  return { control, workers, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function scenarioName(length: number): string {
  return `chunks-${length}`
}

/** The film is in the object store before the clock starts. */
async function runFleet({ control, workers }: Fleet, work: Work): Promise<Sample> {
  const cpu = (): Parts => cpuOf(control, workers)
  let [startMs, before] = [performance.now(), cpu()]
  await transcode(control, work, () => {
    startMs = performance.now()
    before = cpu()
  })
  const wallSeconds = (performance.now() - startMs) / 1000
  const after = cpu()
  const parts = {
    server: after.server - before.server,
    workers: after.workers - before.workers,
    codec: after.codec - before.codec,
  }
  return { wallSeconds, cpuSeconds: parts.server + parts.workers + parts.codec, parts }
}

function cpuOf(control: Millrace, workers: readonly Millrace[]): Parts {
  const pids = workers.map((worker) => worker.process.pid ?? 0)
  const all = pids.reduce((sum, pid) => sum + treeCpuSeconds(pid), 0)
  const codec = pids.reduce((sum, pid) => sum + childrenCpuSeconds(pid), 0)
  return { server: treeCpuSeconds(control.process.pid ?? 0), workers: all - codec, codec }
}

type Work = { readonly film: string; readonly chunkSeconds: number }

/** Uploads a film and has it transcoded; `onUploaded` is called between. */
async function transcode(control: Millrace, { film, chunkSeconds: length }: Work, onUploaded: () => void): Promise<void> {
  const api = new FleetApi(control)
  const client = new JobClient(new ApiClient(control.url))
  const object = await uploadSource({ api: client, file: film, onProgress: () => {}, signal: new AbortController().signal })
  onUploaded()
  const { id } = await api.submit({ scenario: scenarioName(length), source: { object } })
  // Seldom: what the server does to answer counts, too.
  while ((await api.job(id)).state !== 'completed') await delay(lookEveryMs)
}

await using directory = await temporaryDirectory()
const film = await grainyFilm({ seconds, ...size })
const works = [
  ['fleet of one, one piece', { film, chunkSeconds: 0 }],
  [`fleet of one, chunks of ${chunkSeconds} s`, { film, chunkSeconds }],
] as const
const nameColumns = 32
const figureColumns = 10
const row = (name: string, figures: readonly string[]): void =>
  console.log(`${name.padEnd(nameColumns)} ${figures.map((figure) => figure.padStart(figureColumns)).join(' ')}`)
const show = (name: string, { wallSeconds, cpuSeconds, parts }: Sample, ratio?: number): void => {
  const figures = [wallSeconds, cpuSeconds, ratio, ...(parts ? [parts.server, parts.workers, parts.codec] : [])]
  row(
    name,
    figures.map((figure) => figure?.toFixed(2) ?? ''),
  )
}
const peer = 'ffmpeg command line'

console.log(`${seconds} s of 1080p30, x264 ${preset}, crf ${crf}, ${threads} threads`)
row('', ['wall s', 'CPU s', '/ ffmpeg', 'server', 'workers', 'codec'])
const ratios = new Map<string, number[]>(works.map(([name]) => [name, []]))
{
  await using fleet = await startFleet({ slots: 2, cores: [undefined] })
  let before = await runFfmpeg(film, directory.path)
  show(peer, before)
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of works) {
      const sample = await runFleet(fleet, work)
      const after = await runFfmpeg(film, directory.path)
      const ratio = (sample.cpuSeconds * 2) / (before.cpuSeconds + after.cpuSeconds)
      show(name, sample, ratio)
      show(peer, after)
      ratios.get(name)?.push(ratio)
      before = after
    }
  }
}
for (const [name, all] of ratios) {
  const median = all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]
  console.log(`${name}: ${median?.toFixed(3)} of the CPU of ffmpeg`)
}
const wallSeconds: number[] = []
for (const cores of [['0'], ['0', '1']]) {
  await using fleet = await startFleet({ slots: 1, cores })
  const sample = await runFleet(fleet, { film, chunkSeconds })
  show(`workers on a core each: ${cores.length}`, sample)
  wallSeconds.push(sample.wallSeconds)
}
const [one = NaN, two = NaN] = wallSeconds
console.log(`speed-up with two workers: ${(one / two).toFixed(2)}`)
