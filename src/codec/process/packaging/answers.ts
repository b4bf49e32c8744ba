import { FFmpegError, PosixError } from 'node-av/lib'
import { badInputsOf } from '#codec/bad-inputs.ts'
import type { PackageOutcome, PicturesFacts } from '#codec/packaging-orders.ts'
import type { TranscodeProgress } from '#codec/transcoding.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { packageOrder, picturesOrder } from '../checked-orders.ts'
import { packageWork, type PackageRun } from './package.ts'
import { makePictures } from './pictures.ts'

type Asked = { readonly signal: AbortSignal; readonly onProgress: (progress: TranscodeProgress) => void }

/** Makes files for players of the chunks that an order names. Inputs that are at fault come as a value. */
export async function answerPackage(payload: Buffer, asked: Asked): Promise<PackageOutcome> {
  try {
    return { kind: 'packaged', facts: await diskErrors(() => packageWork(packageOrder(payload), runOf(asked))) }
  } catch (error) {
    const inputs = badInputsOf(error)
    if (!(error instanceof AppError) || inputs.length === 0) throw error
    if (error.code !== 'INPUT_DAMAGED' && error.code !== 'ENCODE_DAMAGED') throw error
    return { kind: 'bad-inputs', isDamaged: error.code === 'INPUT_DAMAGED', message: error.message, inputs: [...inputs] }
  }
}

/** Makes still pictures of a source. */
export async function answerPictures(params: unknown, asked: Asked): Promise<PicturesFacts> {
  return await diskErrors(() => makePictures(picturesOrder(params), runOf(asked)))
}

function runOf(asked: Asked): PackageRun {
  return { ...asked, nowMs: () => systemClock.monotonicMs() }
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
