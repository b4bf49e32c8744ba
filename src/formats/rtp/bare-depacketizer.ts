import { Slabs } from '#bytes/slabs.ts'
import { audioSlabBytes, type Depacketizer, type FrameSink } from './depacketizer.ts'
import type { RtpHeader } from './header.ts'
import type { RtpParameters } from './track-description.ts'

/** Codecs whose payload is a frame as it stands: Opus, RFC 7587 §4.2, and G.711, RFC 3551 §4.5.14. */
export class BareDepacketizer implements Depacketizer {
  readonly parameters: RtpParameters
  readonly #sink: FrameSink
  readonly #slabs = new Slabs(audioSlabBytes)

  constructor(parameters: RtpParameters, sink: FrameSink) {
    this.parameters = parameters
    this.#sink = sink
  }

  gap(): void {
    // Every packet stands for itself.
  }

  push(packet: Buffer, header: RtpHeader, arrivalMs: number): void {
    const { payloadStart, payloadEnd, timestamp } = header
    if (payloadStart === payloadEnd) return
    const data = this.#slabs.take(payloadEnd - payloadStart)
    packet.copy(data, 0, payloadStart, payloadEnd)
    this.#sink.frame({ timestamp, arrivalMs, isKeyframe: true, data })
  }
}
