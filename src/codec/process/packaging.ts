import { AV_LOG_ERROR } from 'node-av/constants'
import { FFmpegError, Log, PosixError } from 'node-av/lib'
import { badInputsOf } from '#codec/bad-inputs.ts'
import type { PackageOutcome } from '#codec/packaging-orders.ts'
import type { TranscodeProgress } from '#codec/transcoding.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { packageOrder, picturesOrder } from './checked-orders.ts'
import { packageWork } from './packaging/package.ts'
import { makePictures } from './packaging/pictures.ts'
import { ParentPort } from './parent-port.ts'

// The process that makes files for players: packages of finished chunks, and still pictures of a source.

Log.setLevel(AV_LOG_ERROR)

const parent = new ParentPort({
  package: async (_params, { payload, signal }) => ({ value: await outcomeOf(payload, signal) }),
  pictures: async (params, { signal }) => ({
    value: await diskErrors(() => makePictures(picturesOrder(params), run(signal))),
  }),
})

async function outcomeOf(payload: Buffer, signal: AbortSignal): Promise<PackageOutcome> {
  try {
    return { kind: 'packaged', facts: await diskErrors(() => packageWork(packageOrder(payload), run(signal))) }
  } catch (error) {
    const inputs = badInputsOf(error)
    if (!(error instanceof AppError) || inputs.length === 0) throw error
    if (error.code !== 'INPUT_DAMAGED' && error.code !== 'ENCODE_DAMAGED') throw error
    return { kind: 'bad-inputs', isDamaged: error.code === 'INPUT_DAMAGED', message: error.message, inputs: [...inputs] }
  }
}

function run(signal: AbortSignal) {
  return { signal, nowMs: () => systemClock.monotonicMs(), onProgress: (progress: TranscodeProgress) => parent.emit(progress) }
}

/** A full disk has a code of its own: the task is tried elsewhere. */
async function diskErrors<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code !== 'ENOSPC' && code !== FFmpegError.AVERROR(PosixError.ENOSPC)) throw cause
    throw new AppError('DISK_FULL', 'the scratch directory has no space left for the package', { cause })
  }
}
