import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'
import type { TranscodeEvent } from '#codec/transcode-orders.ts'
import { transcodeParams } from './checked-orders.ts'
import { ParentPort, type Handled } from './parent-port.ts'
import { encodeAudio } from './transcode/audio.ts'
import { tryEncoders } from './transcode/encoders.ts'
import { OrderProgress, tellProgress } from './transcode/order-progress.ts'
import { probeSource } from './transcode/probe.ts'
import { encodeVideo } from './transcode/video.ts'

// The process that describes sources, encodes chunks of them, and makes files for players of chunks, one order after the other.

Log.setLevel(AV_LOG_ERROR)
// SVT-AV1 has a log of its own, which tells all its settings.
process.env['SVT_LOG'] = '1'

const parent = new ParentPort({
  probe: async (params, { signal }) => {
    const { url, stallMs } = transcodeParams('probe', params)
    return await withProgress(0, async (progress) => probeSource(url, { signal, stallMs, ...progress.hooks }))
  },
  encodeVideo: async (params, { signal }) => {
    const { order, stallMs } = transcodeParams('encodeVideo', params)
    const { num, den } = order.timeline.frameRate
    const seconds = ((order.range.endFrame - order.range.startFrame) * den) / num
    return await withProgress(seconds, async (progress) => encodeVideo(order, { signal, stallMs, ...progress.hooks }))
  },
  encodeAudio: async (params, { signal }) => {
    const { order, stallMs } = transcodeParams('encodeAudio', params)
    const seconds = order.durationMs / 1000
    return await withProgress(seconds, async (progress) => encodeAudio(order, { signal, stallMs, ...progress.hooks }))
  },
  // Loaded when it is wanted: most processes encode one chunk and nothing else.
  package: async (_params, { payload, signal }) => {
    const { answerPackage } = await import('./packaging/answers.ts')
    return { value: await answerPackage(payload, { signal, onProgress: tellProgress(emit) }) }
  },
  pictures: async (params, { signal }) => {
    const { answerPictures } = await import('./packaging/answers.ts')
    return { value: await answerPictures(params, { signal, onProgress: tellProgress(emit) }) }
  },
  tryEncoders: async (params) => ({ value: tryEncoders(transcodeParams('tryEncoders', params).names) }),
})

// There is nothing to tidy up: files that are not finished are known by that.
parent.signal.addEventListener('abort', () => process.exit(0))

async function withProgress(seconds: number, work: (progress: OrderProgress) => Promise<unknown>): Promise<Handled> {
  using progress = new OrderProgress(seconds, emit)
  const value = await work(progress)
  progress.report()
  return { value }
}

function emit(event: TranscodeEvent): void {
  parent.emit(event)
}
