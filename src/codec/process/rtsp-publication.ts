import { Dictionary, FFmpegError, FormatContext, type CodecContext, type Packet, type Stream } from 'node-av/lib'

/** A server that takes no byte for this long is given up. */
const stallMs = 10_000

/** The encoder of a track, which describes it to the server. */
type AnnouncedTrack = { readonly context: CodecContext }

export type RtspPublicationOptions = {
  /** `rtsp://[user:password@]host[:port]/stream` */
  readonly url: string
  readonly transport: 'tcp' | 'udp'
  readonly tracks: readonly AnnouncedTrack[]
  /** Interrupts what is blocked on the network. */
  readonly signal: AbortSignal
}

/** One RTSP session that publishes, by libav's own muxer. Calls must not overlap. */
export class RtspPublication implements AsyncDisposable {
  readonly #context = new FormatContext()
  readonly #streams: readonly Stream[]
  readonly #tracks: readonly AnnouncedTrack[]
  readonly #signal: AbortSignal
  readonly #interrupt = () => this.#context.interrupt()
  #hasHeader = false

  /** Connects, announces the tracks and starts to record. Throws what libav says when the server refuses or is not there. */
  static async open(options: RtspPublicationOptions): Promise<RtspPublication> {
    const publication = new RtspPublication(options)
    try {
      using settings = Dictionary.fromObject({ rtsp_transport: options.transport })
      await publication.#guard('publish', () => publication.#context.writeHeader(settings))
      publication.#hasHeader = true
      return publication
    } catch (error) {
      await publication[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor({ url, tracks, signal }: RtspPublicationOptions) {
    this.#tracks = tracks
    this.#signal = signal
    FFmpegError.throwIfError(this.#context.allocOutputContext2(null, 'rtsp', url), 'make an RTSP muxer')
    this.#streams = tracks.map((track) => {
      const stream = this.#context.newStream()
      FFmpegError.throwIfError(stream.codecpar.fromContext(track.context), 'describe a track')
      stream.timeBase = track.context.timeBase
      return stream
    })
  }

  /** Sends a packet of the track at this position in `tracks`; its times are in the time base of that track's encoder. */
  async write(index: number, packet: Packet): Promise<void> {
    const stream = this.#streams[index]
    const track = this.#tracks[index]
    if (!stream || !track) throw new Error(`there is no track ${index}`)
    packet.streamIndex = index
    packet.rescaleTs(track.context.timeBase, stream.timeBase)
    await this.#guard('send', () => this.#context.writeFrame(packet))
  }

  /** Takes leave of the server and closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Without the trailer libav would not close the socket.
    if (this.#hasHeader) await this.#guard('take leave', () => this.#context.writeTrailer()).catch(() => undefined)
    this.#hasHeader = false
    this.#context.freeContext()
  }

  /** Runs what may block on the network, no longer than `stallMs` and until the signal fires. */
  async #guard(what: string, operation: () => Promise<number>): Promise<void> {
    const stalled = new AbortController()
    const timer = setTimeout(() => {
      stalled.abort()
      this.#interrupt()
    }, stallMs)
    this.#signal.addEventListener('abort', this.#interrupt)
    try {
      const result = await operation()
      // Libav's RTSP muxer does not look at what becomes of its writes: an interrupted one counts as done.
      if (stalled.signal.aborted) throw new Error(`${what}: the server took nothing for ${stallMs} ms`)
      FFmpegError.throwIfError(result, what)
    } finally {
      this.#signal.removeEventListener('abort', this.#interrupt)
      clearTimeout(timer)
    }
  }
}
