/**
 * One camera (25 fps, 4 Mbit/s, H.264) relayed to N readers over RTSP/TCP: Millrace against GStreamer's RTSP server, one after the
 * other, both pulling from the same camera server. The readers are one process that counts and throws away.
 *
 * Run: node bench/fan-out.ts [readers] [seconds]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ensureFile, ensureProgram } from '../test/support/ensure-program.ts'
import { startMillrace } from '../test/support/program.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { until } from '../test/support/until.ts'
import { framesPerSecond, startCamera } from './support/camera.ts'
import { usageOf } from './support/process-usage.ts'

const readerCount = Number(process.argv[2] ?? 100)
const seconds = Number(process.argv[3] ?? 30)
const readersScript = join(import.meta.dirname, 'support/readers.ts')
const peerScript = join(import.meta.dirname, 'support/gst-rtsp-server.py')

type Result = { readonly cores: number; readonly rssBytes: number; readonly units: number; readonly expected: number }

/** Reads from `url` with N connections and measures the server meanwhile. */
async function measure(url: string, pid: number): Promise<Result> {
  const readers = spawn(process.execPath, [readersScript, url, String(readerCount)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: readers.stdout })[Symbol.asyncIterator]()
  await lines.next()
  const before = usageOf([pid])
  const startMs = performance.now()
  readers.stdin.write('count\n')
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const after = usageOf([pid])
  const tookSeconds = (performance.now() - startMs) / 1000
  readers.stdin.end('count\n')
  const units = Number((await lines.next()).value)
  await once(readers, 'close')
  const expected = Math.round(tookSeconds * framesPerSecond * readerCount)
  return { cores: (after.cpuSeconds - before.cpuSeconds) / tookSeconds, rssBytes: after.rssBytes, units, expected }
}

async function runMillrace(cameraUrl: string): Promise<Result> {
  await using server = await startMillrace({ config: `[streams.camera]\nsources = ["${cameraUrl}"]\nhls = "off"\n` })
  await until(async () => (await (await fetch(`${server.url}/api/v1/streams/camera`)).text()).includes('"online"'), {
    what: 'the stream',
  })
  return await measure(`${server.rtspUrl}/camera`, server.process.pid ?? 0)
}

async function runGstreamer(cameraUrl: string): Promise<Result> {
  for (const [path, debianPackage] of [
    ['/usr/lib/x86_64-linux-gnu/girepository-1.0/GstRtspServer-1.0.typelib', 'gir1.2-gst-rtsp-server-1.0'],
    ['/usr/lib/python3/dist-packages/gi/__init__.py', 'python3-gi'],
    ['/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstrtsp.so', 'gstreamer1.0-plugins-good'],
    ['/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstvideoparsersbad.so', 'gstreamer1.0-plugins-bad'],
  ] as const) {
    await ensureFile({ path, debianPackage })
  }
  const server = spawn('/usr/bin/python3', [peerScript, cameraUrl], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const { value: port } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next()
    return await measure(`rtsp://127.0.0.1:${port}/camera`, server.pid ?? 0)
  } finally {
    server.kill('SIGKILL')
  }
}

function row(name: string, { cores, rssBytes, units, expected }: Result): string {
  const megabytes = (rssBytes / 1e6).toFixed(0)
  return `${name.padEnd(22)} ${cores.toFixed(3).padStart(7)} ${megabytes.padStart(8)} ${String(units).padStart(9)} ${String(expected).padStart(9)}`
}

const ffmpeg = await ensureProgram({ command: 'ffmpeg', debianPackage: 'ffmpeg' })
await using directory = await temporaryDirectory()
await using camera = await startCamera(ffmpeg, directory.path)
console.log(`one stream to ${readerCount} readers, ${seconds} s each\n`)
console.log('                         cores   RSS MB    frames  expected')
const ours = await runMillrace(camera.url)
console.log(row('millrace', ours))
const peer = await runGstreamer(camera.url)
console.log(row('GStreamer RTSP server', peer))
console.log(
  `\nratio                  ${(ours.cores / peer.cores).toFixed(3).padStart(7)} ${(ours.rssBytes / peer.rssBytes).toFixed(3).padStart(8)}`,
)
