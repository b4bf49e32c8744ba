import { sleep } from '#lib/abort.ts'
import type { Clock } from '#lib/clock.ts'
import type { Packet, Rational } from 'node-av/lib'

export interface PacketSource {
  readonly timeBase: Rational
  /** The next packet in decoding order, `undefined` at the end. Valid until the next call. */
  next(): Packet | undefined
}

/** A sender that is later than this, after the machine slept, goes on from now instead of hurrying after. */
const maxLateMs = 2000

/**
 * Hands out the packets of all tracks in the order of their decoding times, each when it is due (at once when not `isRealtime`).
 * Returns when all tracks have ended or the signal fires.
 */
export async function writePaced({
  tracks,
  write,
  isRealtime,
  clock,
  signal,
}: {
  tracks: readonly PacketSource[]
  write: (index: number, packet: Packet) => Promise<void>
  isRealtime: boolean
  clock: Clock
  signal: AbortSignal
}): Promise<void> {
  const waiting = tracks.map((track, index) => ({ index, track, packet: track.next() }))
  let startMs = clock.monotonicMs()
  while (!signal.aborted) {
    const next = earliest(waiting)
    if (!next) return
    const dueInMs = startMs + next.ms - clock.monotonicMs()
    if (isRealtime && dueInMs > 0 && !(await sleep(dueInMs, signal))) return
    if (dueInMs < -maxLateMs) startMs -= dueInMs
    await write(next.entry.index, next.packet)
    next.entry.packet = next.entry.track.next()
  }
}

type Entry = { readonly index: number; readonly track: PacketSource; packet: Packet | undefined }

function earliest(entries: readonly Entry[]): { entry: Entry; packet: Packet; ms: number } | undefined {
  let best: { entry: Entry; packet: Packet; ms: number } | undefined
  for (const entry of entries) {
    const { packet, track } = entry
    if (!packet) continue
    const ms = Number(packet.dts) * track.timeBase.toDouble() * 1000
    if (!best || ms < best.ms) best = { entry, packet, ms }
  }
  return best
}
