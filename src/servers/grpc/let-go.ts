import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Timers } from '#lib/timers.ts'

/** What a client sends after its answer is thrown away for this long; then it is told to stop. */
const graceMs = 500

/**
 * The answer is written; what the client still sends is not wanted. Telling it so at once (RST_STREAM) would overtake the answer where the socket is busy: nghttp2 drops
 * the trailers of a stream that is closing.
 */
export function letGo(stream: ServerHttp2Stream, timers: Timers): void {
  if (stream.destroyed) return
  stream.resume()
  const timer = timers.after(graceMs, () => stream.close(constants.NGHTTP2_NO_ERROR))
  stream.once('close', () => timer[Symbol.dispose]())
}
