import type { AudioEncoder } from '#codec/transcoding.ts'
import type { NewTask } from '../job-store.ts'
import type { TaskKind } from '../model.ts'
import { encoderNeed } from './encoder-choice.ts'

/** A task of one slot that any worker can do at once, but for what is said of it. */
export function newTask(kind: TaskKind, fields: Partial<Omit<NewTask, 'kind'>> = {}): NewTask {
  return { kind, rendition: '', chunk: 0, after: [], needs: [], cost: 1, totalFrames: 0, ...fields }
}

/** The first task of every job that is not live. */
export const probeTask = newTask('probe')

const soundEncoders = { aac: 'aac', opus: 'libopus' } as const

/** The capability that a worker must have to encode a sound. */
export function soundNeed({ codec }: Pick<AudioEncoder, 'codec'>): string {
  return encoderNeed(soundEncoders[codec])
}
