import { createDepacketizer } from '#formats/rtp/create-depacketizer.ts'
import type { Depacketizer } from '#formats/rtp/depacketizer.ts'
import { RtpHeader } from '#formats/rtp/header.ts'
import { sequenceDelta, timestampDelta } from '#formats/rtp/serial.ts'
import { toTrack, type RtpTrackDescription } from '#formats/rtp/track-description.ts'
import { findHeader } from '#formats/rtsp/message.ts'
import { describeSdpTracks } from '#formats/sdp/sdp-tracks.ts'
import { parseSdp } from '#formats/sdp/session-description.ts'
import type { Track } from '#formats/media/track.ts'
import { RtspTestClient } from './rtsp-client.ts'

/** An access unit as a reader got it. */
export type ReadUnit = {
  readonly track: Track
  /** RTP timestamp, unwrapped: grows across 2^32. */
  readonly ticks: number
  readonly isKeyframe: boolean
  readonly data: Buffer
  /** When it was whole, `performance.now()`. */
  readonly atMs: number
  /** Packets were missing between the unit before and this one. */
  readonly isAfterGap: boolean
}

type Lane = {
  readonly description: RtpTrackDescription
  readonly depacketizer: Depacketizer
  readonly header: RtpHeader
  nextSequence: number | undefined
  last: { timestamp: number; ticks: number } | undefined
  hasGap: boolean
}

/**
 * Reads a stream over RTSP/TCP and keeps every access unit. Nothing is repaired and no times are derived, as a product's receiver would:
 * what the program sends is what the test sees.
 */
export class UnitReader implements AsyncDisposable {
  readonly units: ReadUnit[] = []
  readonly client: RtspTestClient
  readonly #lanes: readonly Lane[]
  /** Frames that lacked packets. */
  damagedUnits = 0

  private constructor(client: RtspTestClient, descriptions: readonly RtpTrackDescription[]) {
    this.client = client
    this.#lanes = descriptions.map((description, index) => this.#lane(description, index))
    client.onInterleaved = (channel, payload) => {
      if (channel % 2 === 0) this.#packet(channel / 2, payload)
    }
  }

  /** DESCRIBE, SETUP of every track, PLAY. Throws when one is refused. */
  static async play({ rtspUrl }: { readonly rtspUrl: string }, stream: string): Promise<UnitReader> {
    const client = await RtspTestClient.connect(Number(new URL(rtspUrl).port), stream)
    try {
      const described = await client.expect('DESCRIBE')
      const medias = describeSdpTracks(parseSdp(described.body.toString()))
      const base = findHeader(described.headers, 'content-base') ?? client.url
      const descriptions: RtpTrackDescription[] = []
      for (const media of medias) {
        if (media.kind === 'unusable') throw new Error(`${media.name}: ${media.reason}`)
        const at = descriptions.push(media.description) * 2 - 2
        await client.expect('SETUP', {
          url: new URL(media.control ?? '', base).href,
          headers: { Transport: `RTP/AVP/TCP;unicast;interleaved=${at}-${at + 1}` },
        })
      }
      const reader = new UnitReader(client, descriptions)
      await client.expect('PLAY')
      return reader
    } catch (error) {
      await client[Symbol.asyncDispose]()
      throw error
    }
  }

  get video(): readonly ReadUnit[] {
    return this.units.filter(({ track }) => track.kind === 'video')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]()
  }

  #lane(description: RtpTrackDescription, index: number): Lane {
    const lane: Lane = {
      description,
      header: new RtpHeader(),
      nextSequence: undefined,
      last: undefined,
      hasGap: false,
      depacketizer: createDepacketizer(description, {
        frame: ({ timestamp, isKeyframe, data }) => {
          const ticks = lane.last ? lane.last.ticks + timestampDelta(lane.last.timestamp, timestamp) : timestamp
          lane.last = { timestamp, ticks }
          const track = toTrack({ ...description, parameters: lane.depacketizer.parameters }, index)
          if (!track) throw new Error('a unit before its parameter sets')
          this.units.push({ track, ticks, isKeyframe, data, atMs: performance.now(), isAfterGap: lane.hasGap })
          lane.hasGap = false
        },
        problem: (reason) => {
          throw new Error(`a packet that cannot be used: ${reason}`)
        },
        discarded: () => {
          this.damagedUnits += 1
        },
      }),
    }
    return lane
  }

  #packet(index: number, packet: Buffer): void {
    const lane = this.#lanes[index]
    if (!lane) throw new Error(`a packet for track ${index}, which was not set up`)
    const problem = lane.header.read(packet)
    if (problem) throw new Error(`a packet that is none: ${problem}`)
    const missing = lane.nextSequence === undefined ? 0 : sequenceDelta(lane.nextSequence, lane.header.sequenceNumber)
    if (missing > 0) {
      lane.hasGap = true
      lane.depacketizer.gap()
    }
    lane.nextSequence = (lane.header.sequenceNumber + 1) & 0xffff
    lane.depacketizer.push(packet, lane.header, performance.now())
  }
}
