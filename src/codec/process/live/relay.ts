import { AV_NOPTS_VALUE } from 'node-av/constants'
import { Packet, type Stream } from 'node-av/lib'
import type { LiveParams } from '#codec/live-orders.ts'
import { AppError } from '#lib/errors.ts'
import { RtspPublication } from '../rtsp-publication.ts'
import { AudioPath } from './audio-path.ts'
import { LiveInput } from './live-input.ts'
import { VideoPath } from './video-path.ts'

export type RelayRun = {
  readonly signal: AbortSignal
  readonly stallMs: number
  /** The target takes the stream from now on. */
  readonly onStarted: () => void
  /** A picture was sent; it is shown at this time of the rendition. */
  readonly onFrame: (seconds: number) => void
}

type Path = { readonly index: number; readonly stream: Stream; readonly path: VideoPath | AudioPath }

/**
 * One packet after the other: read, decoded, scaled, encoded, sent. There is no queue: what this process is too slow for waits in the connection, and the
 * server that is read from leaves pictures out. Never returns; throws why it cannot go on, or the signal's reason.
 */
export async function relay({ sourceUrl, targetUrl, picture, video, audio }: LiveParams['order'], run: RelayRun): Promise<never> {
  await using input = await LiveInput.open(sourceUrl, run)
  using stack = new DisposableStack()
  const paths: Path[] = []
  if (!input.video) throw new AppError('UNSUPPORTED', 'the source has no picture')
  paths.push({ index: 0, stream: input.video, path: stack.use(new VideoPath(input.video, { picture, video })) })
  if (audio && input.audio) paths.push({ index: 1, stream: input.audio, path: stack.use(new AudioPath(input.audio, audio)) })
  await using publication = await publish(targetUrl, paths)
  run.onStarted()
  const packet = new Packet()
  packet.alloc()
  stack.defer(() => packet.free())
  const watch = new PictureWatch(run.stallMs)
  let zeroSeconds: number | undefined
  for (;;) {
    await input.read(packet)
    const found = paths.find(({ stream }) => stream.index === packet.streamIndex)
    if (!found || packet.pts === AV_NOPTS_VALUE) continue
    zeroSeconds ??= Number(packet.pts) * found.stream.timeBase.toDouble()
    for (const made of found.path.take(packet, zeroSeconds)) {
      const seconds = Number(made.pts) * found.path.context.timeBase.toDouble()
      await publication.write(found.index, made)
      if (found.index > 0) continue
      watch.reset()
      run.onFrame(seconds)
    }
    watch.check()
  }
}

/** A stop is carried out between two packets; nothing is interrupted, so that the server hears the farewell. */
async function publish(url: string, paths: readonly Path[]): Promise<RtspPublication> {
  if (!/^rtsps?:\/\//.test(url)) throw new AppError('UNSUPPORTED', 'a live rendition is published over RTSP only')
  const { signal } = new AbortController()
  const tracks = paths.map(({ path }) => ({ context: path.context }))
  try {
    return await RtspPublication.open({ url, transport: 'tcp', tracks, signal })
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('CODEC_FAILED', `the rendition cannot be published: ${said}`, { cause })
  }
}

/** Sound alone is no stream: notices that pictures stay away. */
class PictureWatch {
  readonly #stallMs: number
  #lastMs = performance.now()

  constructor(stallMs: number) {
    this.#stallMs = stallMs
  }

  reset(): void {
    this.#lastMs = performance.now()
  }

  /** Throws `SOURCE_SILENT`. */
  check(): void {
    if (performance.now() - this.#lastMs < this.#stallMs) return
    throw new AppError('SOURCE_SILENT', `the source gave no picture that can be decoded for ${this.#stallMs} ms`)
  }
}
