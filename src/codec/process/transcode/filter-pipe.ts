import { AV_BUFFERSRC_FLAG_KEEP_REF, AVERROR_EOF } from 'node-av/constants'
import { FFmpegError, FilterGraph, Frame, PosixError, type FilterContext } from 'node-av/lib'

const needsMore = FFmpegError.AVERROR(PosixError.EAGAIN)

/** A filter graph with named inputs and one output, `[out]`. One thread: some filters give other pixels with more. */
export class FilterPipe implements Disposable {
  readonly #graph = new FilterGraph()
  readonly #frame = new Frame()
  readonly #inputs = new Map<string, FilterContext>()
  readonly sink: FilterContext

  /**
   * `inputs` are the arguments of libavfilter's `buffer` or `abuffer` under the names that `filters` has for them.
   * Throws what libavfilter says.
   */
  constructor(kind: 'video' | 'audio', filters: string, inputs: Readonly<Record<string, string>>) {
    const [source, sink] = kind === 'video' ? ['buffer', 'buffersink'] : ['abuffer', 'abuffersink']
    this.#graph.alloc()
    this.#graph.nbThreads = 1
    this.#frame.alloc()
    const sources = Object.entries(inputs).map(([name, options]) => `${source}@${name}=${options}[${name}]`)
    const text = `${[...sources, filters].join(';')};[out]${sink}@sink`
    FFmpegError.throwIfError(this.#graph.parsePtr(text), `parse filters "${text}"`)
    FFmpegError.throwIfError(this.#graph.configSync(), `configure filters "${text}"`)
    for (const name of Object.keys(inputs)) this.#inputs.set(name, this.#require(`${source}@${name}`))
    this.sink = this.#require(`${sink}@sink`)
  }

  /** Gives a frame to an input, `null` for its end. The frame stays the caller's. */
  push(input: string, frame: Frame | null): void {
    const context = this.#inputs.get(input)
    if (!context) throw new Error(`the filters have no input "${input}"`)
    FFmpegError.throwIfError(context.buffersrcAddFrameSync(frame, AV_BUFFERSRC_FLAG_KEEP_REF), 'filter a frame')
  }

  /** The next frame that is ready; it belongs to the pipe and is overwritten by the next call. */
  pull(): Frame | undefined {
    this.#frame.unref()
    const got = this.sink.buffersinkGetFrameSync(this.#frame)
    if (got === needsMore || got === AVERROR_EOF) return undefined
    FFmpegError.throwIfError(got, 'take a filtered frame')
    return this.#frame
  }

  [Symbol.dispose](): void {
    this.#frame.free()
    this.#graph.free()
  }

  #require(name: string): FilterContext {
    const context = this.#graph.getFilter(name)
    if (!context) throw new Error(`the filter graph has no "${name}"`)
    return context
  }
}

/** Arguments of `buffer` for frames like this one, with times in so many seconds. */
export function bufferOptions(frame: Frame, timeBase: { readonly num: number; readonly den: number }): string {
  const { num, den } = frame.sampleAspectRatio
  const aspect = num > 0 ? `${num}/${den}` : '1/1'
  const size = `width=${frame.width}:height=${frame.height}:pix_fmt=${frame.format}`
  return `${size}:time_base=${timeBase.num}/${timeBase.den}:sar=${aspect}:colorspace=${frame.colorSpace}:range=${frame.colorRange}`
}
