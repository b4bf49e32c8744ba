import type { Frame } from 'node-av/lib'
import { FilterPipe } from './filter-pipe.ts'

/** EBU R 128: programme loudness, and how near the loudest peak may come to full scale. */
const targetLufs = -23
const maxPeakDbtp = -1
/** What is softer is silence, and stays so. */
const silenceLufs = -69

export type LoudnessFacts = { readonly lufs: number; readonly peakDbtp: number }

/** Measures how loud sound is, by EBU R 128. */
export class Loudness implements Disposable {
  readonly #pipe: FilterPipe
  #facts: LoudnessFacts = { lufs: -Infinity, peakDbtp: -Infinity }

  constructor(sampleRate: number, layout: string, sampleFormat: string) {
    this.#pipe = new FilterPipe('audio', '[in]ebur128=peak=true:metadata=1:framelog=quiet[out]', {
      in: `time_base=1/${sampleRate}:sample_rate=${sampleRate}:sample_fmt=${sampleFormat}:channel_layout=${layout}`,
    })
  }

  add(frame: Frame): void {
    this.#pipe.push('in', frame)
    this.#read()
  }

  /** Of all that was added. */
  finish(): LoudnessFacts {
    this.#pipe.push('in', null)
    this.#read()
    return this.#facts
  }

  [Symbol.dispose](): void {
    this.#pipe[Symbol.dispose]()
  }

  /** The filter writes what it knows so far on each block. */
  #read(): void {
    for (let frame = this.#pipe.pull(); frame; frame = this.#pipe.pull()) {
      const metadata = frame.getMetadata()
      const lufs = metadata.get('lavfi.r128.I')
      const peak = metadata.get('lavfi.r128.true_peak')
      if (lufs === null) continue
      this.#facts = { lufs: Number(lufs), peakDbtp: peak === null ? this.#facts.peakDbtp : 20 * Math.log10(Number(peak)) }
    }
  }
}

/** Decibels by which sound is to become louder, less where its peaks leave no room; 0 for silence. */
export function gainFor({ lufs, peakDbtp }: LoudnessFacts): number {
  if (lufs < silenceLufs) return 0
  const room = peakDbtp === -Infinity ? Infinity : maxPeakDbtp - peakDbtp
  return Math.round(Math.min(targetLufs - lufs, room) * 100) / 100
}
