import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Frames in a recorded file, and frames missing between them, as ffprobe reads it: each gap between decode times counts. */
export async function countFrames(
  ffprobe: string,
  file: string,
  framesPerSecond: number,
): Promise<{ frames: number; lost: number }> {
  const args = ['-v', 'error', '-select_streams', 'v', '-show_entries', 'packet=dts_time', '-of', 'csv=p=0', file]
  const { stdout } = await run(ffprobe, args, { maxBuffer: 64 * 2 ** 20 })
  const times = stdout.split('\n').flatMap((line) => (line === '' ? [] : [Number.parseFloat(line)]))
  let lost = 0
  for (const [i, time] of times.entries()) {
    const before = times[i - 1]
    if (before !== undefined) lost += Math.max(0, Math.round((time - before) * framesPerSecond) - 1)
  }
  return { frames: times.length, lost }
}
