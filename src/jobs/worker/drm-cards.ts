import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GpuFigures } from './gpu-figures.ts'

const kernelDirectory = '/sys/class/drm'

/**
 * Cards whose driver tells of itself in the kernel's files: AMD's (`amdgpu`) does, Intel's tells at most its temperature, which alone is not taken for a card.
 * None where there are no such files.
 */
export async function readDrmCards(directory = kernelDirectory): Promise<readonly GpuFigures[]> {
  const names = await readdir(directory).catch(() => [])
  const cards = names
    .filter((name) => /^card\d+$/.test(name))
    .toSorted((one, other) => Number(one.slice(4)) - Number(other.slice(4)))
  const found = await Promise.all(cards.map((gpu) => readCard(gpu, join(directory, gpu, 'device'))))
  return found.filter((card) => card !== undefined)
}

async function readCard(gpu: string, device: string): Promise<GpuFigures | undefined> {
  const [utilizationPercent, memoryUsedBytes, milliCelsius] = await Promise.all([
    readFigure(join(device, 'gpu_busy_percent')),
    readFigure(join(device, 'mem_info_vram_used')),
    readTemperature(join(device, 'hwmon')),
  ])
  if (utilizationPercent === undefined && memoryUsedBytes === undefined) return undefined
  return {
    gpu,
    ...(utilizationPercent !== undefined && { utilizationPercent }),
    ...(memoryUsedBytes !== undefined && { memoryUsedBytes }),
    ...(milliCelsius !== undefined && { temperatureCelsius: milliCelsius / 1000 }),
  }
}

/** Of the sensors of the card the first: the edge of the chip. */
async function readTemperature(directory: string): Promise<number | undefined> {
  const [sensors] = await readdir(directory).catch(() => [])
  return sensors === undefined ? undefined : await readFigure(join(directory, sensors, 'temp1_input'))
}

async function readFigure(path: string): Promise<number | undefined> {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim()
  return /^\d+$/.test(text) ? Number(text) : undefined
}
