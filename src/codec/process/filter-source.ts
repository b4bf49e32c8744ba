import { FFmpegError, FilterGraph, Frame, type FilterContext } from 'node-av/lib'

const sinkName = 'out'

/** Frames of a filter graph that makes them itself, such as `testsrc2=size=640x360:rate=20`. Pulled, never ahead of the caller. */
export class FilterSource implements Disposable {
  readonly #graph = new FilterGraph()
  readonly #frame = new Frame()
  readonly sink: FilterContext

  /** `description` is in FFmpeg's filter syntax, without a sink. Throws when libavfilter refuses it. */
  constructor(kind: 'video' | 'audio', description: string) {
    this.#graph.alloc()
    this.#graph.nbThreads = 1
    this.#frame.alloc()
    const name = `${kind === 'video' ? 'buffersink' : 'abuffersink'}@${sinkName}`
    FFmpegError.throwIfError(this.#graph.parsePtr(`${description},${name}`), `parse filters "${description}"`)
    FFmpegError.throwIfError(this.#graph.configSync(), `configure filters "${description}"`)
    const sink = this.#graph.getFilter(name)
    if (!sink) throw new Error(`filters "${description}" have no sink`)
    this.sink = sink
  }

  /** The next frame. It belongs to the source and is overwritten by the next call. */
  next(): Frame {
    this.#frame.unref()
    FFmpegError.throwIfError(this.sink.buffersinkGetFrameSync(this.#frame), 'make a frame')
    return this.#frame
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#graph.free()
  }
}
