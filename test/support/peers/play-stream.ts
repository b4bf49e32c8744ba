import { PeerProcess } from './peer-process.ts'

export type PlayOptions = {
  /** `rtsp://…`, `http://…/index.m3u8`, or the path of a file. */
  readonly url: string
  readonly format: 'rtsp' | 'hls' | 'file'
  /** RTSP only. */
  readonly transport?: 'tcp' | 'udp'
  /** Decode the packets too: counts frames and errors, and finds flashes and beeps. */
  readonly decode?: boolean
  /** End after so many packets of the first video track (of the first track, when there is no video). */
  readonly untilFrames?: number
  /** End so many seconds after the first packet. */
  readonly seconds?: number
  /** End when nothing has come for so long after the first packet. */
  readonly idleMs?: number
  /** HLS: start with the first segment of the playlist instead of near its end. */
  readonly isFromStart?: boolean
  /** RTSP: be the server, and wait for one publisher. */
  readonly isListening?: boolean
}

export type PlayedTrack = {
  readonly kind: 'video' | 'audio'
  /** FFmpeg's name: `h264`, `hevc`, `aac`, `opus`, `pcm_alaw`, `pcm_mulaw`. */
  readonly codec: string
  readonly packets: number
  readonly keyframes: number
  /** Packets that came marked as damaged. */
  readonly corruptPackets: number
  /** Presentation times in the order of arrival. */
  readonly ptsSeconds: readonly number[]
  /** Decoded pictures or sound frames; 0 without `decode`. */
  readonly frames: number
  /** Packets that the decoder refused, and frames that it had to repair. */
  readonly decodeErrors: number
  /** Sizes of the decoded pictures in the order in which they appeared, `320x180`. */
  readonly sizes: readonly string[]
}

export type PlayResult = {
  readonly tracks: readonly PlayedTrack[]
  readonly end: 'frames' | 'seconds' | 'idle' | 'stopped' | 'closed'
  /** From the start of the connection to the first packet, and to the first decoded picture when there is one. */
  readonly firstPacketMs: number
  readonly firstPictureMs?: number
  /** Times at which the picture turned white, and at which a beep began, on the stream's timeline. */
  readonly flashSeconds: readonly number[]
  readonly beepSeconds: readonly number[]
  /** The last lines that libav wrote: warnings and errors. */
  readonly messages: readonly string[]
}

export interface Player extends AsyncDisposable {
  /** Resolves with the first packet; rejects when there is none. */
  readonly started: Promise<void>
  /** Resolves when one of the ends has come; rejects when the stream could not be opened or failed. */
  readonly result: Promise<PlayResult>
  /** Ends now. */
  stop(): Promise<PlayResult>
}

/** Plays a stream with libav as far as one of the ends, and tells what came. */
export function playStream(options: PlayOptions): Player {
  const peer = new PeerProcess(new URL('./process/play-stream.ts', import.meta.url), options)
  const started = peer.event('started').then(() => undefined)
  const result = waitForResult(peer)
  // Both fail alike; whoever awaits one of them hears of it.
  started.catch(() => undefined)
  result.catch(() => undefined)
  return {
    started,
    result,
    async stop() {
      peer.stop()
      return result
    },
    [Symbol.asyncDispose]: () => peer.kill(),
  }
}

/** Demuxes and decodes a whole local file. */
export async function countFrames(path: string): Promise<PlayResult> {
  await using player = playStream({ url: path, format: 'file', decode: true })
  return await player.result
}

/** How much later the sound is than the picture: the median over all flashes with a beep within half a second. Throws when there is none. */
export function audioVideoSkewMs({ flashSeconds, beepSeconds }: PlayResult): number {
  const differences = flashSeconds.flatMap((flash) => {
    const nearest = beepSeconds.toSorted((a, b) => Math.abs(a - flash) - Math.abs(b - flash))[0]
    return nearest !== undefined && Math.abs(nearest - flash) < 0.5 ? [(nearest - flash) * 1000] : []
  })
  const median = differences.toSorted((a, b) => a - b)[Math.floor(differences.length / 2)]
  if (median === undefined) throw new Error(`no flash with a beep: ${flashSeconds.length} flashes, ${beepSeconds.length} beeps`)
  return median
}

/** The only track of this kind. Throws when there is none, or several. */
export function onlyTrack({ tracks, messages }: PlayResult, kind: 'video' | 'audio'): PlayedTrack {
  const [track, ...others] = tracks.filter((candidate) => candidate.kind === kind)
  if (!track || others.length > 0)
    throw new Error(`${others.length + (track ? 1 : 0)} ${kind} tracks instead of 1\n${messages.join('\n')}`)
  return track
}

async function waitForResult(peer: PeerProcess): Promise<PlayResult> {
  const empty: PlayResult = { tracks: [], end: 'closed', firstPacketMs: 0, flashSeconds: [], beepSeconds: [], messages: [] }
  return Object.assign(empty, await peer.event('result'), { messages: peer.messages })
}
