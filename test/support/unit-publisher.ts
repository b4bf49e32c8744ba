import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { describeTrack } from '#formats/rtp/track-description.ts'
import type { RtspResponse } from '#formats/rtsp/message.ts'
import { writeSdp } from '#formats/sdp/write-sdp.ts'
import { publishTestStream, type TestStreamOptions } from './peers/publish-test-stream.ts'
import type { Millrace } from './program.ts'
import { RtspTestClient } from './rtsp-client.ts'
import { TestApi } from './test-api.ts'
import { UnitReader } from './unit-reader.ts'
import { until } from './until.ts'

const payloadType = 96

/** What a publisher by hand sends; `ptsTicks` becomes the RTP timestamp as it is, right or wrong. */
export type MaterialUnit = Pick<AccessUnit, 'track' | 'ptsTicks' | 'isKeyframe' | 'data'>

/** Encodes a video with libav and gives its access units: real media for publishers by hand. The stream is published, read, and gone. */
export async function makeMaterial(
  millrace: Millrace,
  options: Omit<TestStreamOptions, 'url' | 'audio' | 'isRealtime'> & { readonly seconds: number },
): Promise<readonly MaterialUnit[]> {
  const name = `material-${options.video}-${options.size?.width ?? 0}-${options.gopFrames ?? 0}`
  const { seconds, ...encoding } = options
  await using _stream = await publishTestStream({ ...encoding, url: `${millrace.rtspUrl}/${name}` })
  await new TestApi(millrace).untilState(name, 'online')
  await using reader = await UnitReader.play(millrace, name)
  const wanted = seconds * (options.fps ?? 25)
  await until(() => reader.units.length >= wanted, { what: `${wanted} units of material`, timeoutMs: 30_000 })
  const [first] = reader.units
  return reader.units.slice(0, wanted).map((unit) => ({ ...unit, ptsTicks: unit.ticks - (first?.ticks ?? 0) }))
}

/** A publisher by hand, over RTSP/TCP: sends real access units of one track with any timestamps, at any time. */
export class UnitPublisher implements AsyncDisposable {
  readonly client: RtspTestClient
  readonly #track: Track
  readonly #packetizer: RtpPacketizer
  #timer: NodeJS.Timeout | undefined
  sentUnits = 0

  private constructor(client: RtspTestClient, track: Track) {
    this.client = client
    this.#track = track
    this.#packetizer = new RtpPacketizer({
      track,
      payloadType,
      ssrc: 0x6d696c6c,
      maxPayloadBytes: 1400,
      firstSequenceNumber: 0,
      timestampOffset: 0,
    })
  }

  /** ANNOUNCE and SETUP; throws when refused. */
  static async setUp({ rtspUrl }: { readonly rtspUrl: string }, stream: string, track: Track): Promise<UnitPublisher> {
    const client = await RtspTestClient.connect(Number(new URL(rtspUrl).port), stream)
    const body = writeSdp({ name: stream, medias: [{ description: describeTrack(track, payloadType), control: 'trackID=0' }] })
    await client.expect('ANNOUNCE', { headers: { 'Content-Type': 'application/sdp' }, body })
    const headers = { Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1;mode=record' }
    await client.expect('SETUP', { url: `${client.url}/trackID=0`, headers })
    return new UnitPublisher(client, track)
  }

  /** The same with RECORD. */
  static async open(millrace: { readonly rtspUrl: string }, stream: string, track: Track): Promise<UnitPublisher> {
    const publisher = await UnitPublisher.setUp(millrace, stream, track)
    await publisher.client.expect('RECORD')
    return publisher
  }

  /** RECORD, whatever comes back. */
  record(): Promise<RtspResponse> {
    return this.client.request('RECORD')
  }

  send(unit: MaterialUnit): void {
    const { track, ptsTicks, isKeyframe, data } = unit
    const whole: AccessUnit = {
      track: { ...track, id: this.#track.id },
      ptsTicks,
      dtsTicks: ptsTicks,
      ntpMs: 0,
      isKeyframe,
      data,
    }
    this.client.send(this.#packetizer.packetize(whole).bytes)
    this.sentUnits += 1
  }

  /** Sends the material again and again, one unit each `frameMs`, with timestamps that go on from unit `from`. */
  loop(material: readonly MaterialUnit[], { frameMs = 40, from = 0 } = {}): void {
    const frameTicks = (frameMs * this.#track.clockRateHz) / 1000
    this.#pace(frameMs, (index) => {
      const unit = material[(index + from) % material.length]
      if (unit) this.send({ ...unit, ptsTicks: (index + from) * frameTicks })
    })
  }

  /** Sends these units as they are, one each `frameMs`; resolves after the last. */
  play(units: readonly MaterialUnit[], { frameMs = 40 } = {}): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#pace(frameMs, (index) => {
      const unit = units[index]
      if (unit) return this.send(unit)
      this.fallSilent()
      resolve()
    })
    return promise
  }

  /** Goes on being connected, and says nothing more. */
  fallSilent(): void {
    clearInterval(this.#timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.client[Symbol.asyncDispose]()
  }

  /** Calls for one unit after the other when it is due, also when the timer is late. */
  #pace(frameMs: number, sendAt: (index: number) => void): void {
    clearInterval(this.#timer)
    const startMs = performance.now()
    let next = 0
    const sendDue = (): void => {
      while (next <= (performance.now() - startMs) / frameMs) sendAt(next++)
    }
    this.#timer = setInterval(sendDue, frameMs / 2)
    sendDue()
  }
}
