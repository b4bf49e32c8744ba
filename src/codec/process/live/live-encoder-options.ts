import type { VideoEncoder } from '#codec/transcoding.ts'
import { encoderOptions, type EncoderOptions } from '../transcode/encoder-options.ts'

/** What makes an encoder give each picture at once, over what it has for files. `x264-params` is replaced: its threads there wait for each other. */
const lowLatency: Readonly<Record<string, (options: EncoderOptions, video: VideoEncoder) => EncoderOptions>> = {
  libx264: (_, { threads }) => ({ tune: 'zerolatency', bf: '0', 'x264-params': `scenecut=0:open-gop=0:threads=${threads}` }),
  libx265: (options) => ({
    tune: 'zerolatency',
    'x265-params': `${options['x265-params'] ?? ''}:bframes=0:rc-lookahead=0:frame-threads=1`,
  }),
  nvenc: () => ({ tune: 'ull', zerolatency: '1', bf: '0', delay: '0' }),
  qsv: () => ({ async_depth: '1', bf: '0', low_delay_brc: '1' }),
}

/** Options of an encoder of a live rendition under FFmpeg's names. */
export function liveEncoderOptions(video: VideoEncoder): EncoderOptions {
  // Renditions of a live stream need not be the same twice: the processor may do what it can.
  const options = encoderOptions(video, { hasAvx512: false })
  const family = video.encoder.slice(video.encoder.lastIndexOf('_') + 1)
  const change = lowLatency[video.encoder] ?? lowLatency[family]
  return { ...options, ...colors(video), ...change?.(options, video) }
}

function colors({ color }: VideoEncoder): EncoderOptions {
  const named = {
    color_primaries: color.primaries,
    color_trc: color.transfer,
    colorspace: color.matrix,
    color_range: color.range,
  }
  return Object.fromEntries(Object.entries(named).filter(([, name]) => name !== 'unknown'))
}
