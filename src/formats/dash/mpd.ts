import type { ByteRange } from '#formats/hls/vod-playlist.ts'

/** One file with one track, which has a segment index. */
type DashFile = {
  /** Unique within the presentation. */
  readonly id: string
  readonly uri: string
  /** RFC 6381. */
  readonly codecs: string
  /** `ftyp` and `moov`. */
  readonly initByteRange: ByteRange
  /** `sidx`. */
  readonly indexByteRange: ByteRange
  readonly bandwidthBitsPerSecond: number
}

/** Code points of ISO/IEC 23091-2. */
export type DashColor = { readonly primaries: number; readonly transfer: number; readonly matrix: number }

export type DashVideo = DashFile & {
  readonly width: number
  readonly height: number
  /** Frames per second. */
  readonly frameRate: { readonly num: number; readonly den: number }
  /** Given where they are not those of BT.709. */
  readonly color?: DashColor
}

export type DashAudio = DashFile & {
  readonly sampleRateHz: number
  readonly channels: number
  /** RFC 5646. */
  readonly language?: string
  readonly title?: string
  readonly isDefault: boolean
}

export type Mpd = { readonly durationSeconds: number; readonly video: readonly DashVideo[]; readonly audio: readonly DashAudio[] }

/** Media type of a manifest, ISO/IEC 23009-1 Annex C. */
export const mpdContentType = 'application/dash+xml'

/**
 * A static presentation of whole files with segment indexes: the on-demand profile of ISO/IEC 23009-1 §8.3. Pictures of one codec
 * and colour are one set that players switch within; each sound is a set of its own.
 */
export function renderMpd({ durationSeconds, video, audio }: Mpd): string {
  const sets = [...Map.groupBy(video, setKey).values()].map(videoSet).concat(audio.map(audioSet))
  const root = element(
    'MPD',
    {
      xmlns: 'urn:mpeg:dash:schema:mpd:2011',
      profiles: 'urn:mpeg:dash:profile:isoff-on-demand:2011,urn:mpeg:dash:profile:cmaf:2019',
      type: 'static',
      mediaPresentationDuration: duration(durationSeconds),
      minBufferTime: 'PT4S',
    },
    [
      element(
        'Period',
        { id: '0', start: 'PT0S', duration: duration(durationSeconds) },
        sets.map((set, id) => set(id)),
      ),
    ],
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`
}

type AdaptationSet = (id: number) => string

/** Codecs of one family by the part before the first dot. */
function setKey({ codecs, color }: DashVideo): string {
  return JSON.stringify([codecs.split('.')[0], color])
}

function videoSet(tracks: readonly DashVideo[]): AdaptationSet {
  const color = tracks[0]?.color
  const properties = color
    ? [
        property('ColourPrimaries', color.primaries),
        property('TransferCharacteristics', color.transfer),
        property('MatrixCoefficients', color.matrix),
      ]
    : []
  const representations = tracks.map((track) =>
    representation(track, {
      width: track.width,
      height: track.height,
      frameRate: track.frameRate.den === 1 ? track.frameRate.num : `${track.frameRate.num}/${track.frameRate.den}`,
      sar: '1:1',
    }),
  )
  return (id) => adaptationSet({ id, contentType: 'video', mimeType: 'video/mp4' }, [...properties, ...representations])
}

function audioSet(track: DashAudio): AdaptationSet {
  const channels = element('AudioChannelConfiguration', {
    schemeIdUri: 'urn:mpeg:dash:23003:3:audio_channel_configuration:2011',
    value: track.channels,
  })
  const children = [
    ...(track.title === undefined ? [] : [`<Label>${escaped(track.title)}</Label>`]),
    element('Role', { schemeIdUri: 'urn:mpeg:dash:role:2011', value: track.isDefault ? 'main' : 'alternate' }),
    representation(track, { audioSamplingRate: track.sampleRateHz }, [channels]),
  ]
  const language = track.language === undefined ? {} : { lang: track.language }
  return (id) => adaptationSet({ id, contentType: 'audio', mimeType: 'audio/mp4', ...language }, children)
}

function adaptationSet(attributes: Attributes, children: readonly string[]): string {
  return element('AdaptationSet', { ...attributes, subsegmentAlignment: 'true', subsegmentStartsWithSAP: 1 }, children)
}

function representation(file: DashFile, attributes: Attributes, children: readonly string[] = []): string {
  return element(
    'Representation',
    { id: file.id, codecs: file.codecs, bandwidth: Math.ceil(file.bandwidthBitsPerSecond), ...attributes },
    [
      ...children,
      `<BaseURL>${escaped(file.uri)}</BaseURL>`,
      element('SegmentBase', { indexRange: range(file.indexByteRange) }, [
        element('Initialization', { range: range(file.initByteRange) }),
      ]),
    ],
  )
}

/** Colours by MPEG-B Part 8, ISO/IEC 23001-8. */
function property(name: string, value: number): string {
  return element('SupplementalProperty', { schemeIdUri: `urn:mpeg:mpegB:cicp:${name}`, value })
}

/** First and last byte. */
function range({ offset, length }: ByteRange): string {
  return `${offset}-${offset + length - 1}`
}

function duration(seconds: number): string {
  return `PT${Number(seconds.toFixed(6))}S`
}

type Attributes = Readonly<Record<string, string | number>>

function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
  if (children.length === 0) return `<${name}${list.join('')}/>`
  const body = children.flatMap((child) => child.split('\n')).map((line) => `  ${line}`)
  return [`<${name}${list.join('')}>`, ...body, `</${name}>`].join('\n')
}

function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '').replaceAll(/[^\P{Cc}\t]/gu, ' ')
}
