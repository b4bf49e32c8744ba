/**
 * N cameras (25 fps, 4 Mbit/s, H.264, RTSP over TCP), each recorded as fMP4 and packaged for HLS: one Millrace against one `ffmpeg -c copy`
 * process per camera doing the same, one after the other, from the same camera server.
 *
 * Run: node bench/live.ts [streams] [seconds]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { loopLookMs } from '#ops/metrics.ts'
import { ensureProgram } from '../test/support/ensure-program.ts'
import { startMillrace } from '../test/support/program.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { until } from '../test/support/until.ts'
import { framesPerSecond, startCamera } from './support/camera.ts'
import { countFrames } from './support/lost-frames.ts'
import { type Usage, usageOf } from './support/process-usage.ts'

const streamCount = Number(process.argv[2] ?? 100)
const seconds = Number(process.argv[3] ?? 60)
const settleSeconds = 15

type Result = {
  readonly cores: number
  readonly usage: Usage
  readonly frames: number
  readonly lost: number
  readonly loopP99Ms?: number
}

async function measure(pids: readonly number[]): Promise<{ cores: number; usage: Usage }> {
  const before = usageOf(pids)
  const startMs = performance.now()
  await pause(seconds)
  const usage = usageOf(pids)
  return { cores: ((usage.cpuSeconds - before.cpuSeconds) * 1000) / (performance.now() - startMs), usage }
}

async function runMillrace(cameraUrl: string): Promise<Result> {
  const streams = Array.from({ length: streamCount }, (_, i) => `[streams.cam-${i}]\nsources = ["${cameraUrl}"]\n`)
  const defaults = '[streamDefaults]\nhls = "always"\nrecording = { enabled = true, segmentSeconds = 3600 }\n'
  await using server = await startMillrace({ config: `${defaults}${streams.join('\n')}`, env: { UV_THREADPOOL_SIZE: '16' } })
  await until(async () => (await onlineCount(server.url)) === streamCount, { what: 'all streams online', timeoutMs: 60_000 })
  await pause(settleSeconds)
  await loopP99Ms(server.metricsUrl)
  const { cores, usage } = await measure([server.process.pid ?? 0])
  const p99 = await loopP99Ms(server.metricsUrl)
  await server.kill('SIGTERM')
  return { cores, usage, loopP99Ms: p99, ...(await countAll(join(server.directory, 'data/recordings/*/*/*.mp4'))) }
}

async function runFfmpeg(ffmpeg: string, cameraUrl: string, directory: string): Promise<Result> {
  const children = Array.from({ length: streamCount }, (_, i) => startFfmpeg(ffmpeg, cameraUrl, join(directory, `cam-${i}`)))
  try {
    await until(() => globSync(join(directory, 'cam-*/record.mp4')).length === streamCount, {
      what: 'all recordings',
      timeoutMs: 60_000,
    })
    await pause(settleSeconds)
    const measured = await measure(children.map(({ pid }) => pid ?? 0))
    await Promise.all(children.map((child) => end(child)))
    return { ...measured, ...(await countAll(join(directory, 'cam-*/record.mp4'))) }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

function startFfmpeg(ffmpeg: string, url: string, directory: string): ChildProcess {
  mkdirSync(directory, { recursive: true })
  const input = ['-v', 'error', '-nostdin', '-rtsp_transport', 'tcp', '-i', url]
  const record = [
    '-c',
    'copy',
    '-movflags',
    'frag_keyframe+empty_moov+default_base_moof',
    '-f',
    'mp4',
    '-y',
    join(directory, 'record.mp4'),
  ]
  const flags = ['-hls_time', '1', '-hls_list_size', '7', '-hls_segment_type', 'fmp4', '-hls_flags', 'delete_segments']
  const hls = ['-c', 'copy', '-f', 'hls', ...flags, '-y', join(directory, 'live.m3u8')]
  return spawn(ffmpeg, [...input, ...record, ...hls], { stdio: 'ignore', cwd: directory })
}

async function end(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  await closed
}

async function countAll(pattern: string): Promise<{ frames: number; lost: number }> {
  const ffprobe = await ensureProgram({ command: 'ffprobe', debianPackage: 'ffmpeg' })
  const total = { frames: 0, lost: 0 }
  for (const file of globSync(pattern)) {
    const { frames, lost } = await countFrames(ffprobe, file, framesPerSecond)
    total.frames += frames
    total.lost += lost
  }
  return total
}

async function onlineCount(url: string): Promise<number> {
  const response = await fetch(`${url}/api/v1/status`)
  const body: { streams: { online: number } } = JSON.parse(await response.text())
  return body.streams.online
}

/** 99th percentile of the event loop's delay since the last call, over the time between looks at it. */
async function loopP99Ms(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text()
  return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(text)?.[1]) * 1000 - loopLookMs
}

function pause(forSeconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forSeconds * 1000))
}

function row(name: string, { cores, usage, frames, lost, loopP99Ms: p99 }: Result): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0).padStart(8)
  const loop = p99 === undefined ? '–' : p99.toFixed(1)
  return `${name.padEnd(16)} ${cores.toFixed(3).padStart(7)} ${megabytes(usage.pssBytes)} ${megabytes(usage.rssBytes)} ${loop.padStart(12)} ${String(frames).padStart(9)} ${String(lost).padStart(6)}`
}

const ffmpeg = await ensureProgram({ command: 'ffmpeg', debianPackage: 'ffmpeg' })
await using directory = await temporaryDirectory()
await using camera = await startCamera(ffmpeg, directory.path)
console.log(`${streamCount} streams, ${seconds} s each\n`)
console.log('                   cores   PSS MB   RSS MB   loop p99 ms    frames   lost')
const ours = await runMillrace(camera.url)
console.log(row('millrace', ours))
const peer = await runFfmpeg(ffmpeg, camera.url, directory.path)
console.log(row('ffmpeg -c copy', peer))
const ratio = (of: (result: Result) => number): string => (of(ours) / of(peer)).toFixed(3)
console.log(
  `\nratio            ${ratio(({ cores }) => cores).padStart(7)} ${ratio(({ usage }) => usage.pssBytes).padStart(8)} ${ratio(({ usage }) => usage.rssBytes).padStart(8)}`,
)
