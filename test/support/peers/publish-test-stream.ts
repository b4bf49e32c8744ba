import { PeerProcess } from './peer-process.ts'

export type TestVideo = 'h264' | 'h264-bframes' | 'h265'
export type TestAudio = 'aac' | 'opus' | 'pcma' | 'pcmu'
export type TestSize = { readonly width: number; readonly height: number }

export type TestStreamOptions = {
  /** `rtsp://[user:password@]host:port/stream` */
  readonly url: string
  readonly transport?: 'tcp' | 'udp'
  readonly video?: TestVideo
  readonly audio?: TestAudio
  /** How long the stream is; without it, it goes on until `stop`. */
  readonly seconds?: number
  readonly size?: TestSize
  readonly fps?: number
  /** Frames from one keyframe to the next; the default is one second. */
  readonly gopFrames?: number
  /** False sends as fast as the server takes it. */
  readonly isRealtime?: boolean
  /** Where the video's parameter sets are: in the SDP, in front of each keyframe, or both. */
  readonly parameterSets?: 'sdp' | 'in-band' | 'both'
  /** From this second on the picture has another size, and its keyframes other parameter sets. Needs them in-band. */
  readonly resize?: TestSize & { readonly atSecond: number }
}

export type SentTrack = {
  readonly kind: 'video' | 'audio'
  readonly packets: number
  readonly keyframes: number
  readonly bytes: number
  readonly lastPtsSeconds: number
}

export interface TestStream extends AsyncDisposable {
  /** What was sent, when all of it is; rejects when the server ends the connection. */
  readonly finished: Promise<readonly SentTrack[]>
  /** Takes leave now, and gives what was sent. */
  stop(): Promise<readonly SentTrack[]>
  /** Vanishes without a word. */
  kill(): Promise<void>
}

/**
 * Publishes a moving picture and a sound with libav over RTSP. The picture is white for two frames at the start of each second, and the
 * sound beeps from the same moment on, so that the far end can measure how far apart they are. Returns when the server has accepted it;
 * throws when it does not.
 */
export async function publishTestStream(options: TestStreamOptions): Promise<TestStream> {
  const peer = new PeerProcess(new URL('./process/publish-test-stream.ts', import.meta.url), options)
  try {
    await peer.event('online')
  } catch (error) {
    await peer.kill()
    throw error
  }
  const finished = waitForEnd(peer)
  // Whoever does not ask for the end does not care how it came.
  finished.catch(() => undefined)
  return {
    finished,
    async stop() {
      peer.stop()
      return finished
    },
    kill: () => peer.kill(),
    [Symbol.asyncDispose]: () => peer.kill(),
  }
}

async function waitForEnd(peer: PeerProcess): Promise<readonly SentTrack[]> {
  const event: { tracks: SentTrack[] } = Object.assign({ tracks: [] }, await peer.event('finished'))
  return event.tracks
}
