/** Bits per second as measured: the highest of any stretch about as long as a segment, and that of the whole. */
export type MeasuredRate = { readonly peakBitsPerSecond: number; readonly averageBitsPerSecond: number }

/** HDR as players choose by it, RFC 8216bis §4.4.6.2. */
export type VideoRange = 'SDR' | 'PQ' | 'HLG'

export type MasterVideo = {
  readonly uri: string
  /** RFC 6381. */
  readonly codecs: string
  readonly width: number
  readonly height: number
  readonly framesPerSecond: number
  readonly videoRange: VideoRange
  readonly rate: MeasuredRate
  /** Keyframes only. */
  readonly iframes: { readonly uri: string; readonly rate: MeasuredRate }
}

export type MasterAudio = {
  readonly uri: string
  readonly codecs: string
  /** What a person reads; unique within its group. */
  readonly name: string
  /** RFC 5646. */
  readonly language?: string
  readonly isDefault: boolean
  readonly channels: number
  readonly rate: MeasuredRate
}

export type MasterPlaylist = { readonly video: readonly MasterVideo[]; readonly audio: readonly MasterAudio[] }

/**
 * The multivariant playlist of a finished work, RFC 8216 §4.3.4. Sound is a group of renditions for each of its codecs, and each
 * picture is offered with each group; without pictures, each sound is a variant of its own.
 */
export function renderMasterPlaylist({ video, audio }: MasterPlaylist): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-INDEPENDENT-SEGMENTS']
  if (video.length === 0) {
    for (const track of audio) lines.push(streamInfo(track.rate, [`CODECS="${track.codecs}"`]), track.uri)
    return `${lines.join('\n')}\n`
  }
  const groups = groupsOf(audio)
  for (const group of groups) for (const track of group.tracks) lines.push(mediaTag(group.id, track))
  for (const picture of video) {
    if (groups.length === 0) lines.push(variant(picture), picture.uri)
    for (const group of groups) lines.push(variant(picture, group), picture.uri)
  }
  for (const picture of video) lines.push(iframeVariant(picture))
  return `${lines.join('\n')}\n`
}

type AudioGroup = {
  readonly id: string
  readonly codecs: string
  readonly rate: MeasuredRate
  readonly tracks: readonly MasterAudio[]
}

function groupsOf(audio: readonly MasterAudio[]): AudioGroup[] {
  return [...Map.groupBy(audio, ({ codecs }) => codecs)].map(([codecs, tracks], index) => ({
    id: `audio-${index}`,
    codecs,
    tracks,
    // A player has one of them at a time: the largest counts, RFC 8216 §4.3.4.2.
    rate: {
      peakBitsPerSecond: Math.max(...tracks.map(({ rate }) => rate.peakBitsPerSecond)),
      averageBitsPerSecond: Math.max(...tracks.map(({ rate }) => rate.averageBitsPerSecond)),
    },
  }))
}

function mediaTag(groupId: string, { name, language, isDefault, channels, uri }: MasterAudio): string {
  const attributes = [
    'TYPE=AUDIO',
    `GROUP-ID="${groupId}"`,
    `NAME="${quotable(name)}"`,
    ...(language === undefined ? [] : [`LANGUAGE="${quotable(language)}"`]),
    `DEFAULT=${isDefault ? 'YES' : 'NO'}`,
    'AUTOSELECT=YES',
    `CHANNELS="${channels}"`,
    `URI="${uri}"`,
  ]
  return `#EXT-X-MEDIA:${attributes.join(',')}`
}

function variant(picture: MasterVideo, group?: AudioGroup): string {
  const rate = {
    peakBitsPerSecond: picture.rate.peakBitsPerSecond + (group?.rate.peakBitsPerSecond ?? 0),
    averageBitsPerSecond: picture.rate.averageBitsPerSecond + (group?.rate.averageBitsPerSecond ?? 0),
  }
  return streamInfo(rate, [
    `CODECS="${group ? `${picture.codecs},${group.codecs}` : picture.codecs}"`,
    `RESOLUTION=${picture.width}x${picture.height}`,
    `FRAME-RATE=${picture.framesPerSecond.toFixed(3)}`,
    `VIDEO-RANGE=${picture.videoRange}`,
    ...(group ? [`AUDIO="${group.id}"`] : []),
    'CLOSED-CAPTIONS=NONE',
  ])
}

function iframeVariant({ codecs, width, height, videoRange, iframes }: MasterVideo): string {
  const attributes = [
    ...bandwidths(iframes.rate),
    `CODECS="${codecs}"`,
    `RESOLUTION=${width}x${height}`,
    `VIDEO-RANGE=${videoRange}`,
    `URI="${iframes.uri}"`,
  ]
  return `#EXT-X-I-FRAME-STREAM-INF:${attributes.join(',')}`
}

function streamInfo(rate: MeasuredRate, attributes: readonly string[]): string {
  return `#EXT-X-STREAM-INF:${[...bandwidths(rate), ...attributes].join(',')}`
}

function bandwidths({ peakBitsPerSecond, averageBitsPerSecond }: MeasuredRate): string[] {
  return [`BANDWIDTH=${Math.ceil(peakBitsPerSecond)}`, `AVERAGE-BANDWIDTH=${Math.ceil(averageBitsPerSecond)}`]
}

/** A quoted string has neither quotes nor line ends, RFC 8216 §4.2. */
function quotable(text: string): string {
  return text.replaceAll(/["\r\n]/g, ' ')
}
