import { rename, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFile } from '../../test/support/peers/make-file.ts'

const fps = 30

/** Pictures that zoom, turn and carry grain, about as hard to encode as film, with sound. Made once and kept in the temporary directory. */
export async function grainyFilm({
  seconds,
  width = 1920,
  height = 1080,
}: {
  seconds: number
  width?: number
  height?: number
}): Promise<string> {
  const path = join(tmpdir(), `millrace-bench-film-${width}x${height}-${seconds}s.mp4`)
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  if (isThere) return path
  const zoom = `mandelbrot=size=480x270:rate=${fps}:end_scale=0.002:end_pts=${seconds * fps},trim=end_frame=${seconds * fps}`
  const look = `scale=${width / 2}:${height / 2}:flags=bilinear,noise=alls=7:allf=t,scale=${width}:${height}:flags=bilinear,format=yuv420p`
  const voice = `aevalsrc=exprs=0.3*sin(2*PI*(220+80*sin(t))*t)+0.05*random(0)|0.3*sin(2*PI*330*t):s=48000:d=${seconds}`
  const unfinished = join(tmpdir(), `millrace-bench-film-${process.pid}.mp4`)
  await makeFile({
    path: unfinished,
    format: 'mp4',
    tracks: [
      {
        kind: 'video',
        filters: `${zoom},${look}`,
        encoder: 'libx264',
        encoderOptions: { preset: 'superfast', crf: '21', g: '60' },
      },
      {
        kind: 'audio',
        filters: `${voice},aformat=sample_fmts=fltp:channel_layouts=stereo`,
        encoder: 'aac',
        encoderOptions: { b: '160000' },
      },
    ],
  })
  await rename(unfinished, path)
  return path
}
