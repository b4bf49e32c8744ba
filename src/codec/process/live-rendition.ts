import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'
import { parseLiveParams, type LiveEvent } from '#codec/live-orders.ts'
import { toAppError } from '#lib/errors.ts'
import { LiveProgress } from './live/live-progress.ts'
import { relay } from './live/relay.ts'
import { ParentPort } from './parent-port.ts'

// The process that takes a stream in and publishes a rendition of it, until its parent closes the pipe.

Log.setLevel(AV_LOG_ERROR)

const parent = new ParentPort({
  start: async (params) => {
    const { order, stallMs } = parseLiveParams(params)
    const started = Promise.withResolvers<void>()
    let isStarted = false
    const progress = new LiveProgress((event) => emit({ kind: 'progress', progress: event }))
    const onStarted = (): void => {
      isStarted = true
      started.resolve()
    }
    void relay(order, { signal: parent.signal, stallMs, onStarted, onFrame: (seconds) => progress.take(seconds) }).catch(
      (error: unknown) => {
        progress[Symbol.dispose]()
        if (!isStarted) return started.reject(error)
        const { code, message } = toAppError(error)
        if (!parent.signal.aborted) emit({ kind: 'ended', code: code === 'INTERNAL' ? 'CODEC_FAILED' : code, message })
      },
    )
    await started.promise
    return {}
  },
})

function emit(event: LiveEvent): void {
  parent.emit(event)
}
