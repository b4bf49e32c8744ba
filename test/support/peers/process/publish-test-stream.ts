import type { CodecContext, Packet, Rational } from 'node-av/lib'
import { EncodedTrack, type TrackPlan } from '#codec/process/encoded-track.ts'
import { writePaced } from '#codec/process/paced.ts'
import { RtspPublication } from '#codec/process/rtsp-publication.ts'
import { systemClock } from '#lib/clock.ts'
import type { SentTrack, TestStreamOptions } from '../publish-test-stream.ts'
import { report, runPeer } from './peer.ts'
import { audioPlan, videoPlans } from './test-tracks.ts'

type Counts = { -readonly [Key in keyof SentTrack]: SentTrack[Key] }

/** A track that goes through several encoders in turn, as a camera does that changes its resolution. */
class TrackInTurns implements Disposable {
  readonly counts: Counts
  readonly #tracks: EncodedTrack[]
  #turn = 0

  constructor(plans: readonly TrackPlan[]) {
    this.#tracks = plans.map((plan) => new EncodedTrack(plan))
    this.counts = { kind: this.#current.plan.kind, packets: 0, keyframes: 0, bytes: 0, lastPtsSeconds: 0 }
  }

  get context(): CodecContext {
    return this.#current.context
  }

  get timeBase(): Rational {
    return this.#current.timeBase
  }

  next(): Packet | undefined {
    const packet = this.#current.next()
    if (packet || this.#turn === this.#tracks.length - 1) return packet
    this.#turn += 1
    return this.next()
  }

  count(packet: Packet): void {
    this.counts.packets += 1
    if (packet.isKeyframe) this.counts.keyframes += 1
    this.counts.bytes += packet.size
    this.counts.lastPtsSeconds = Math.max(this.counts.lastPtsSeconds, Number(packet.pts) * this.timeBase.toDouble())
  }

  [Symbol.dispose](): void {
    for (const track of this.#tracks) track[Symbol.dispose]()
  }

  get #current(): EncodedTrack {
    const track = this.#tracks[this.#turn]
    if (!track) throw new Error('a track has no encoder')
    return track
  }
}

await runPeer<TestStreamOptions>(async (options, signal) => {
  const audio = audioPlan(options)
  const plans = [videoPlans(options), audio ? [audio] : []].filter((turns) => turns.length > 0)
  const tracks = plans.map((turns) => new TrackInTurns(turns))
  // A stop is carried out between two packets; nothing is interrupted, so that the server hears the farewell.
  const never = new AbortController()
  {
    await using publication = await RtspPublication.open({
      url: options.url,
      transport: options.transport ?? 'tcp',
      tracks,
      signal: never.signal,
    })
    report({ event: 'online' })
    await writePaced({
      tracks,
      write: async (index, packet) => {
        tracks[index]?.count(packet)
        await publication.write(index, packet)
      },
      isRealtime: options.isRealtime ?? true,
      clock: systemClock,
      signal,
    })
  }
  report({ event: 'finished', tracks: tracks.map(({ counts }) => counts) })
})
