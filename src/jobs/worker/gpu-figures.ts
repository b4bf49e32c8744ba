/** What a graphics card says of itself at one moment. What it does not say is absent. */
export type GpuFigures = {
  /** As NVIDIA's own tool counts them, from 0; others by their name in the kernel, such as `card0`. */
  readonly gpu: string
  readonly utilizationPercent?: number
  readonly memoryUsedBytes?: number
  readonly encoderUtilizationPercent?: number
  readonly temperatureCelsius?: number
}

/** Asks for all cards of one kind; none, when there are none. */
export type GpuSource = (signal: AbortSignal) => Promise<readonly GpuFigures[]>
