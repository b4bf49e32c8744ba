import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'
import { parsePublishParams, type DemoCamera, type DemoEvent } from '#codec/demo-camera.ts'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { systemClock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import { demoTracks } from './demo-pictures.ts'
import { EncodedTrack } from './encoded-track.ts'
import { writePaced } from './paced.ts'
import { ParentPort } from './parent-port.ts'
import { RtspPublication } from './rtsp-publication.ts'

// The process that makes the demo cameras' pictures and publishes them until its parent closes the pipe.

Log.setLevel(AV_LOG_ERROR)

const parent = new ParentPort({
  publish: async (params) => {
    const { rtspUrl, cameras } = parsePublishParams(params)
    for (const camera of cameras) void keepPublishing(camera, `${rtspUrl}/${camera.name}`)
    return {}
  },
})

async function keepPublishing(camera: DemoCamera, url: string): Promise<void> {
  const backoff = new Backoff({ firstMs: 250, maxMs: 5000 })
  let retryInMs: number
  do {
    const error = await publish(camera, url, () => {
      backoff.reset()
      emit({ kind: 'online', camera: camera.name })
    })
    retryInMs = backoff.nextMs()
    emit({ kind: 'offline', camera: camera.name, reason: error.message, retryInMs })
  } while (await sleep(retryInMs, parent.signal))
}

/** Publishes until it cannot: says why. */
async function publish(camera: DemoCamera, url: string, onOnline: () => void): Promise<Error> {
  try {
    using stack = new DisposableStack()
    const tracks = demoTracks(camera, systemClock).map((plan) => stack.use(new EncodedTrack(plan)))
    await using publication = await RtspPublication.open({ url, transport: 'tcp', tracks, signal: parent.signal })
    onOnline()
    await writePaced({
      tracks,
      write: (index, packet) => publication.write(index, packet),
      isRealtime: true,
      clock: systemClock,
      signal: parent.signal,
    })
    return new Error('the picture ended')
  } catch (error) {
    return toAppError(error)
  }
}

function emit(event: DemoEvent): void {
  parent.emit(event)
}
