/** Presets with one rendition: `1080p30-h264`, `4k60-h265-hdr`, `mp4-720p`, … */
import { videoCodecs, type VideoCodec } from '#codec/transcoding.ts'
import type { Scenario } from '../scenario.ts'
import { constant, rendition, scenario, stereo, surround, tastes } from './preset-parts.ts'

const sizes = [
  { name: '4k', height: 2160, audio: surround },
  { name: '1080p', height: 1080, audio: stereo },
  { name: '720p', height: 720, audio: stereo },
  { name: '480p', height: 480, audio: stereo },
] as const
type PresetSize = (typeof sizes)[number]

const frameRates = [60, 30] as const
/** VP9 has no encoder in most hardware. */
const hardwareCodecs: readonly VideoCodec[] = ['h264', 'h265', 'av1']

function single({ name, height, audio }: PresetSize, maxFrameRate: number, codec: VideoCodec): Scenario {
  const { title, crf } = tastes[codec]
  return scenario({
    name: `${name}${maxFrameRate}-${codec}`,
    description: `Up to ${height} lines and ${maxFrameRate} frames a second, ${title}, constant quality`,
    renditions: [rendition({ name: `${height}p`, height, codec, rate: constant(crf), maxFrameRate })],
    audio,
  })
}

/** The same on a graphics processor where a worker has one. */
function onHardware(preset: Scenario): Scenario {
  const { name, description, renditions } = preset
  return {
    ...preset,
    name: `${name}-auto`,
    description: `${description}; on hardware where a worker has it`,
    renditions: renditions.map((each) => ({ ...each, encoder: 'auto' })),
  }
}

/** Ten bits, and the source's HDR kept. */
function inHdr(preset: Scenario): Scenario {
  const { name, description, renditions } = preset
  return {
    ...preset,
    name: `${name}-hdr`,
    description: `${description}; ten bits, HDR of the source is kept`,
    renditions: renditions.map((each) => ({ ...each, bitDepth: 10 })),
  }
}

function mp4({ name, height, audio }: PresetSize): Scenario {
  return scenario({
    name: `mp4-${name}`,
    description: `One MP4 file for download, up to ${height} lines, H.264`,
    format: 'mp4',
    renditions: [rendition({ name: `${height}p`, height, codec: 'h264', rate: constant(tastes.h264.crf) })],
    audio,
  })
}

const plain = sizes.flatMap((size) =>
  frameRates.flatMap((maxFrameRate) => videoCodecs.map((codec) => single(size, maxFrameRate, codec))),
)
const isOf = (codecs: readonly VideoCodec[]) => (preset: Scenario) =>
  preset.renditions.some(({ codec }) => codecs.includes(codec))
const isLarge = ({ renditions }: Scenario): boolean => renditions.some(({ height }) => height >= 1080)

export const singlePresets: readonly Scenario[] = [
  ...plain,
  ...plain
    .filter(isOf(['h265', 'av1']))
    .filter(isLarge)
    .map(inHdr),
  ...plain.filter(isOf(hardwareCodecs)).map(onHardware),
  ...sizes.map(mp4),
  scenario({
    name: 'thumbnails',
    description: 'Poster and storyboard, with a small preview film without sound',
    renditions: [
      rendition({ name: '240p', height: 240, codec: 'h264', rate: constant(30), preset: 'veryfast', maxFrameRate: 15 }),
    ],
  }),
  scenario({ name: 'audio-only', description: 'Sound alone, AAC', renditions: [], audio: stereo, pictures: false }),
  scenario({
    name: 'audio-only-opus',
    description: 'Sound alone, Opus',
    renditions: [],
    audio: { ...stereo, codec: 'opus', bitsPerSecond: 128_000 },
    pictures: false,
  }),
  scenario({
    name: 'podcast',
    description: 'Speech alone, AAC, as loud as others (EBU R 128)',
    renditions: [],
    audio: { ...stereo, bitsPerSecond: 128_000, normalize: true },
    pictures: false,
  }),
]
