/** A stretch of a track: its bytes and how long it lasts. */
export type Stretch = { readonly sizeBytes: number; readonly durationSeconds: number }

export function averageBitsPerSecond(stretches: readonly Stretch[]): number {
  const sizeBytes = stretches.reduce((sum, stretch) => sum + stretch.sizeBytes, 0)
  const durationSeconds = stretches.reduce((sum, stretch) => sum + stretch.durationSeconds, 0)
  return durationSeconds > 0 ? Math.ceil((sizeBytes * 8) / durationSeconds) : 0
}

/**
 * The peak segment bit rate, RFC 8216 §4.1: the largest of all runs of segments that last between half and one and a half target
 * durations. A short last segment thus counts together with the one before. Where no run is as long, the average.
 */
export function peakBitsPerSecond(segments: readonly Stretch[], targetSeconds: number): number {
  let peak = averageBitsPerSecond(segments)
  for (let first = 0; first < segments.length; first++) {
    let sizeBytes = 0
    let durationSeconds = 0
    for (const segment of segments.slice(first, first + maxRun)) {
      sizeBytes += segment.sizeBytes
      durationSeconds += segment.durationSeconds
      if (durationSeconds > targetSeconds * 1.5) break
      if (durationSeconds >= targetSeconds * 0.5) peak = Math.max(peak, Math.ceil((sizeBytes * 8) / durationSeconds))
    }
  }
  return peak
}

/** Segments are about as long as the target, keyframes for winding are not: more of them than this are no run. */
const maxRun = 64
