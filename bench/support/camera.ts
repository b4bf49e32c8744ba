import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Millrace, startMillrace } from '../../test/support/program.ts'
import { until } from '../../test/support/until.ts'

const run = promisify(execFile)

export const framesPerSecond = 25
export const keyframeSeconds = 2

/** Writes a clip as a camera would send it: 720p, 25 fps, a constant 4 Mbit/s, a keyframe each 2 s, no B-frames. */
async function makeClip(ffmpeg: string, file: string): Promise<void> {
  const noise = 'testsrc2=size=1280x720:rate=25,noise=alls=20:allf=t'
  const rate = ['-b:v', '4M', '-minrate', '4M', '-maxrate', '4M', '-bufsize', '1M', '-x264-params', 'nal-hrd=cbr:force-cfr=1']
  const coding = ['-c:v', 'libx264', '-preset', 'superfast', '-bf', '0', '-g', String(framesPerSecond * keyframeSeconds), ...rate]
  await run(ffmpeg, ['-v', 'error', '-f', 'lavfi', '-i', noise, '-t', '20', ...coding, '-y', file])
}

export type Camera = AsyncDisposable & { readonly url: string; readonly pids: readonly number[] }

/** One camera that any number can pull: a Millrace of its own, fed in real time. The same for Millrace and for its peer. */
export async function startCamera(ffmpeg: string, directory: string): Promise<Camera> {
  const clip = join(directory, 'clip.mp4')
  await makeClip(ffmpeg, clip)
  const server = await startMillrace({ config: '[live]\nmaxReadersPerStream = 2000\n[rtsp]\nmaxConnections = 4000\n' })
  const url = `${server.rtspUrl}/camera`
  const publisher = spawn(
    ffmpeg,
    ['-v', 'error', '-re', '-stream_loop', '-1', '-i', clip, '-c', 'copy', '-f', 'rtsp', '-rtsp_transport', 'tcp', url],
    { stdio: 'ignore' },
  )
  await until(async () => (await stateOf(server)) === 'online', { what: 'the camera to be online' })
  return { url, pids: [server.process.pid ?? 0], [Symbol.asyncDispose]: () => stop(server, publisher) }
}

async function stateOf(server: Millrace): Promise<unknown> {
  const response = await fetch(`${server.url}/api/v1/streams/camera`)
  const body: { state?: unknown } = JSON.parse(await response.text())
  return body.state
}

async function stop(server: Millrace, publisher: ChildProcess): Promise<void> {
  const closed = once(publisher, 'close')
  publisher.kill('SIGKILL')
  await closed
  await server[Symbol.asyncDispose]()
}
