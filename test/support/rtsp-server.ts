import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { describeTrack } from '#formats/rtp/track-description.ts'
import { writeSdp } from '#formats/sdp/write-sdp.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import type { Publication } from '#live/publication.ts'
import { Stream } from '#live/stream.ts'
import type { Access, StreamHub } from '#servers/rtsp/hub.ts'
import { RtspServer } from '#servers/rtsp/server.ts'
import type { RtspSettings } from '#servers/rtsp/settings.ts'
import { audioTrack, unitAt as plainUnitAt, videoTrack } from './media.ts'

export const silentLog = createLog({ level: 'silent', pretty: false })

/** Streams by name, made when somebody publishes. */
export class TestHub implements StreamHub {
  readonly streams = new Map<string, Stream>()

  stream(name: string): Stream {
    const known = this.streams.get(name)
    if (known) return known
    const limits = { maxBytes: 8e6, maxMs: 5000, maxReaders: 100 }
    const stream = new Stream({ name, clock: systemClock, limits })
    this.streams.set(name, stream)
    return stream
  }

  publish: StreamHub['publish'] = (name, { peer }) => {
    const stream = this.stream(name)
    if (stream.isOnline) throw new AppError('STREAM_BUSY', `stream "${name}" is being published`)
    return stream.openPublication({ priority: 0, label: 'publish', peer })
  }

  openForReading: StreamHub['openForReading'] = async (name) => {
    const stream = this.streams.get(name)
    if (!stream) throw new AppError('STREAM_NOT_FOUND', `no stream is called "${name}"`)
    if (stream.tracks.length === 0) throw new AppError('STREAM_OFFLINE', `stream "${name}" has no publisher`)
    return stream
  }
}

const openAccess: Access = { isRequired: () => false, findPassword: () => undefined, isAllowed: () => true }

/** A server on free ports of this machine with streams of its own. */
export async function startRtspServer(
  options: { settings?: Partial<RtspSettings>; access?: Access } = {},
): Promise<{ server: RtspServer; hub: TestHub } & AsyncDisposable> {
  const hub = new TestHub()
  const settings: RtspSettings = {
    host: '127.0.0.1',
    port: 0,
    rtpPort: 0,
    maxConnections: 100,
    sessionTimeoutSeconds: 60,
    publisherSilenceSeconds: 10,
    stalledReaderSeconds: 30,
    ...options.settings,
  }
  const access = options.access ?? openAccess
  const server = await RtspServer.listen({ hub, access, clock: systemClock, log: silentLog, settings })
  return { server, hub, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

export const cameraTracks = [videoTrack, audioTrack]

/** The Transport header that asks for the channels of the track at `index`. */
export function tcpTransport(index: number): string {
  return `RTP/AVP/TCP;unicast;interleaved=${index * 2}-${index * 2 + 1}`
}

/** What a publisher of these tracks announces. */
export function sdpOf(list: readonly Track[]): string {
  return writeSdp({
    name: 'camera',
    medias: list.map((track, index) => ({ description: describeTrack(track, 96 + index), control: `streamid=${index}` })),
  })
}

/** As from test/support, but each slice is seen to begin a picture, which a receiver that joins wants to see. */
export function unitAt(...given: Parameters<typeof plainUnitAt>): AccessUnit {
  const unit = plainUnitAt(...given)
  unit.data[5] = 0x88 // first_mb_in_slice 0
  return unit
}

export function* video({ fromMs = 0, frames = 50, gop = 25, sizeBytes = 100 } = {}): Generator<AccessUnit> {
  for (let i = 0; i < frames; i++) yield unitAt(fromMs + i * 40, { isKeyframe: i % gop === 0, sizeBytes })
}

/** Puts media into a stream without a network. */
export function feed(hub: TestHub, name: string, list: readonly Track[] = cameraTracks): Publication {
  const publication = hub.stream(name).openPublication({ priority: 0, label: 'test' })
  publication.start(list)
  return publication
}
