import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { GpuFigures } from './gpu-figures.ts'

const run = promisify(execFile)
/** A card that is asleep or broken can take tens of seconds. */
const answerMs = 5000
/** A card takes up to 50 KB, most of it clocks that it could run at. */
const maxAnswerBytes = 8 * 2 ** 20

/** NVIDIA's cards, by the tool that comes with their driver. None where there is no such tool, or it gives no answer in time. */
export async function askNvidiaSmi(signal: AbortSignal): Promise<readonly GpuFigures[]> {
  try {
    // Drivers of all ages know this form; the short one has no encoder before 2022.
    const options = { timeout: answerMs, killSignal: 'SIGKILL', maxBuffer: maxAnswerBytes, signal } as const
    const { stdout } = await run('nvidia-smi', ['-q', '-x'], options)
    return parseNvidiaSmi(stdout)
  } catch {
    return []
  }
}

/** What `nvidia-smi -q -x` prints, in the order in which it counts the cards. `N/A` and words instead of a figure are left out. */
export function parseNvidiaSmi(xml: string): GpuFigures[] {
  return [...xml.matchAll(/<gpu id="[^"]*">([\s\S]*?)<\/gpu>/g)].map(([, card = ''], index) => {
    const utilizationPercent = findFigure(card, 'gpu_util', '%')
    const memoryUsedMebibytes = findFigure(sectionOf(card, 'fb_memory_usage'), 'used', 'MiB')
    const encoderUtilizationPercent = findFigure(card, 'encoder_util', '%')
    const temperatureCelsius = findFigure(card, 'gpu_temp', 'C')
    return {
      gpu: String(index),
      ...(utilizationPercent !== undefined && { utilizationPercent }),
      ...(memoryUsedMebibytes !== undefined && { memoryUsedBytes: memoryUsedMebibytes * 2 ** 20 }),
      ...(encoderUtilizationPercent !== undefined && { encoderUtilizationPercent }),
      ...(temperatureCelsius !== undefined && { temperatureCelsius }),
    }
  })
}

function sectionOf(xml: string, name: string): string {
  return new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(xml)?.[1] ?? ''
}

function findFigure(xml: string, name: string, unit: string): number | undefined {
  const digits = new RegExp(`<${name}>(\\d+(?:\\.\\d+)?) ${unit}</${name}>`).exec(xml)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
