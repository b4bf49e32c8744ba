import { AV_PICTURE_TYPE_NONE, AV_PKT_DATA_DISPLAYMATRIX, AVERROR_EOF, AVFMT_GLOBALHEADER } from 'node-av/constants'
import {
  Codec,
  CodecContext,
  Dictionary,
  FFmpegError,
  FormatContext,
  Packet,
  PosixError,
  type Frame,
  type Stream,
} from 'node-av/lib'
import { FilterSource } from '#codec/process/filter-source.ts'
import type { FileRecipe, TrackRecipe } from '../make-file.ts'
import { report, runPeer } from './peer.ts'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)

/** A track of a file: the frames of its filter graph, with the times that the graph gives them, encoded. */
class MadeTrack implements Disposable {
  readonly stream: Stream
  readonly #recipe: TrackRecipe
  readonly #source: FilterSource
  readonly #context = new CodecContext()
  readonly #packet = new Packet()
  #current: Packet | undefined

  constructor(recipe: TrackRecipe, output: FormatContext) {
    this.#recipe = recipe
    this.#source = new FilterSource(recipe.kind, recipe.filters)
    this.#packet.alloc()
    const codec = Codec.getCodecList().find((listed) => listed.isEncoder() && listed.name === recipe.encoder)
    if (!codec) throw new Error(`this FFmpeg build has no encoder "${recipe.encoder}"`)
    this.#open(codec, (output.oformat?.flags ?? 0) & AVFMT_GLOBALHEADER ? { flags: '+global_header' } : {})
    this.stream = output.newStream()
    FFmpegError.throwIfError(this.stream.codecpar.fromContext(this.#context), 'describe a track')
    this.stream.timeBase = this.#context.timeBase
    if (recipe.metadata) this.stream.metadata = Dictionary.fromObject({ ...recipe.metadata })
    if (recipe.rotationDegrees !== undefined) {
      this.stream.codecpar.addCodedSideData(AV_PKT_DATA_DISPLAYMATRIX, displayMatrix(recipe.rotationDegrees))
    }
  }

  /** The packet that comes next, which stays the same until `take`. */
  get packet(): Packet | undefined {
    this.#current ??= this.#next()
    return this.#current
  }

  get dtsSeconds(): number {
    const { packet } = this
    return packet ? Number(packet.dts) * this.#context.timeBase.toDouble() : Infinity
  }

  /** Hands the packet to the muxer. */
  write(output: FormatContext): void {
    const { packet } = this
    if (!packet) return
    packet.streamIndex = this.stream.index
    // Encoders of pictures leave it open, and the last one would be shown for no time.
    if (packet.duration === 0n && this.#recipe.kind === 'video') packet.duration = this.#frameTicks
    packet.rescaleTs(this.#context.timeBase, this.stream.timeBase)
    FFmpegError.throwIfError(output.interleavedWriteFrameSync(packet), 'write a packet')
    this.#current = undefined
  }

  [Symbol.dispose](): void {
    this.#packet.free()
    this.#context.freeContext()
    this.#source[Symbol.dispose]()
  }

  get #frameTicks(): bigint {
    const { framerate, timeBase } = this.#context
    return BigInt(Math.round(1 / (framerate.toDouble() * timeBase.toDouble())))
  }

  #next(): Packet | undefined {
    this.#packet.unref()
    for (;;) {
      const got = this.#context.receivePacketSync(this.#packet)
      if (got >= 0) return this.#packet
      if (got === AVERROR_EOF) return undefined
      if (got !== needsMore) FFmpegError.throwIfError(got, `encode with ${this.#recipe.encoder}`)
      FFmpegError.throwIfError(this.#context.sendFrameSync(this.#nextFrame()), `encode with ${this.#recipe.encoder}`)
    }
  }

  #nextFrame(): Frame | null {
    try {
      const frame = this.#source.next()
      if (this.#recipe.kind === 'video') frame.pictType = AV_PICTURE_TYPE_NONE
      return frame
    } catch (error) {
      if (error instanceof FFmpegError && error.isEOF) return null
      throw error
    }
  }

  #open(codec: Codec, flags: { flags?: string }): void {
    const context = this.#context
    const { sink } = this.#source
    context.allocContext3(codec)
    context.threadCount = 1
    context.timeBase = sink.buffersinkGetTimeBase()
    if (this.#recipe.kind === 'video') {
      context.width = sink.buffersinkGetWidth()
      context.height = sink.buffersinkGetHeight()
      context.framerate = sink.buffersinkGetFrameRate()
      context.pixelFormat = sameOf(codec.pixelFormats, sink.buffersinkGetFormat())
      context.sampleAspectRatio = sink.buffersinkGetSampleAspectRatio()
    } else {
      context.sampleRate = sink.buffersinkGetSampleRate()
      context.sampleFormat = sameOf(codec.sampleFormats, sink.buffersinkGetFormat())
      context.channelLayout = sink.buffersinkGetChannelLayout()
    }
    for (const [name, value] of Object.entries({ ...flags, ...this.#recipe.encoderOptions })) {
      FFmpegError.throwIfError(context.setOption(name, value), `set ${name}=${value} for encoder "${this.#recipe.encoder}"`)
    }
    FFmpegError.throwIfError(context.open2Sync(codec), `open encoder "${this.#recipe.encoder}"`)
  }
}

/** The format that the graph makes, among those that the encoder takes. */
function sameOf<T extends number>(formats: readonly T[] | null, made: number): T {
  const found = formats?.find((format) => Number(format) === made)
  if (found === undefined)
    throw new Error(`the encoder takes no frames of format ${made}; end the filters with format= or aformat=`)
  return found
}

/** 3 × 3 of 16.16 fixed point, as in `tkhd`; players turn the picture clockwise by so much. */
function displayMatrix(degrees: number): Buffer {
  const [cos, sin] = [Math.round(Math.cos((degrees * Math.PI) / 180)), Math.round(Math.sin((degrees * Math.PI) / 180))]
  const matrix = Buffer.alloc(36)
  const values = [cos * 65_536, sin * 65_536, 0, -sin * 65_536, cos * 65_536, 0, 0, 0, 2 ** 30]
  for (const [index, value] of values.entries()) matrix.writeInt32LE(value, index * 4)
  return matrix
}

await runPeer<FileRecipe>(async ({ path, format, tracks: recipes, muxerOptions }) => {
  using stack = new DisposableStack()
  const output = new FormatContext()
  FFmpegError.throwIfError(output.allocOutputContext2(null, format, path), `make a muxer for "${format}"`)
  stack.defer(() => output.freeContext())
  const tracks = recipes.map((recipe) => stack.use(new MadeTrack(recipe, output)))
  FFmpegError.throwIfError(output.openOutputSync(), `open ${path}`)
  FFmpegError.throwIfError(output.writeHeaderSync(Dictionary.fromObject({ ...muxerOptions })), 'write the header')
  for (;;) {
    const [first] = tracks.toSorted((a, b) => a.dtsSeconds - b.dtsSeconds)
    if (first?.packet === undefined) break
    first.write(output)
  }
  FFmpegError.throwIfError(output.writeTrailerSync(), 'write the trailer')
  output.closeOutputSync()
  report({ event: 'made' })
})
