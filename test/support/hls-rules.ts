/**
 * What RFC 8216 demands of the playlists of a finished work in CMAF files, and what Apple's authoring rules add. Checked against
 * the bytes that they name, with nothing of the code that wrote them but the readers of MP4.
 */
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Reader } from '#bytes/reader.ts'
import { sampleEntryCodec } from '#formats/mp4/sample-entry-codecs.ts'
import { boxesIn, findBox, requireBox } from '#formats/mp4/read-boxes.ts'
import { readInit } from '#formats/mp4/read-init.ts'
import { walkFragments, type WalkedFragment } from '../../src/formats/mp4/strict-walker.fixture.ts'

type Attributes = ReadonlyMap<string, string>
type Tag = { readonly name: string; readonly value: string; readonly attributes: Attributes }
type Segment = { readonly seconds: number; readonly offset: number; readonly length: number; readonly uri: string }
type Playlist = { readonly name: string; readonly tags: readonly Tag[]; readonly segments: readonly Segment[] }

/** Files of a work by name. */
export type WorkFiles = ReadonlyMap<string, Buffer>

export async function loadWork(directory: string): Promise<Map<string, Buffer>> {
  const names = await readdir(directory)
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const)))
}

/** All that breaks a rule, one sentence each. */
export function brokenHlsRules(files: WorkFiles): string[] {
  const rules = new Rules(files)
  rules.checkMaster()
  return rules.broken
}

class Rules {
  readonly broken: string[] = []
  readonly #files: WorkFiles
  /** Starts of segments of pictures in seconds, by playlist. */
  readonly #starts = new Map<string, string>()

  constructor(files: WorkFiles) {
    this.#files = files
  }

  checkMaster(): void {
    const master = this.#playlist('master.m3u8')
    if (!master) return
    const streams = this.#tags(master, 'EXT-X-STREAM-INF')
    const iframes = this.#tags(master, 'EXT-X-I-FRAME-STREAM-INF')
    const media = this.#tags(master, 'EXT-X-MEDIA')
    this.#require(streams.length > 0, 'the master has no variants')
    this.#require(
      this.#tags(master, 'EXT-X-INDEPENDENT-SEGMENTS').length === 1,
      'the master does not say that segments are independent',
    )
    this.#checkGroups(media)
    const uris = this.#text('master.m3u8').split('\n')
    const variants = streams.map((tag) => ({ tag, uri: uris[uris.indexOf(`#${tag.name}:${tag.value}`) + 1] ?? '' }))
    for (const { tag, uri } of variants) this.#checkVariant(tag, uri, media)
    const pictures = new Set(variants.filter(({ tag }) => tag.attributes.has('RESOLUTION')).map(({ uri }) => uri))
    this.#require(iframes.length === pictures.size, `${iframes.length} I-frame playlists for ${pictures.size} renditions`)
    for (const tag of iframes) this.#checkIframes(tag)
    this.#require(new Set(this.#starts.values()).size <= 1, `segments begin at different times: ${[...this.#starts].join(' ')}`)
  }

  #checkGroups(media: readonly Tag[]): void {
    for (const [group, tags] of Map.groupBy(media, ({ attributes }) => attributes.get('GROUP-ID'))) {
      const names = tags.map(({ attributes }) => attributes.get('NAME'))
      this.#require(new Set(names).size === names.length, `group ${group} has a name twice`)
      const defaults = tags.filter(({ attributes }) => attributes.get('DEFAULT') === 'YES').length
      this.#require(defaults <= 1, `group ${group} has ${defaults} defaults`)
      for (const { attributes } of tags) this.#checkMedia(this.#playlist(attributes.get('URI') ?? ''), 'audio')
    }
  }

  #checkVariant({ attributes }: Tag, uri: string, media: readonly Tag[]): void {
    const isVideo = attributes.has('RESOLUTION')
    for (const name of [
      'BANDWIDTH',
      'AVERAGE-BANDWIDTH',
      'CODECS',
      ...(isVideo ? ['FRAME-RATE', 'VIDEO-RANGE', 'CLOSED-CAPTIONS'] : []),
    ]) {
      this.#require(attributes.has(name), `variant ${uri} has no ${name}`)
    }
    const playlist = this.#playlist(uri)
    this.#checkMedia(playlist, isVideo ? 'video' : 'audio')
    const group = media.filter((tag) => tag.attributes.get('GROUP-ID') === attributes.get('AUDIO'))
    this.#require(!attributes.has('AUDIO') || group.length > 0, `variant ${uri} names a group that is not there`)
    const sounds = group.map((tag) => this.#playlist(tag.attributes.get('URI') ?? ''))
    const codecs = [playlist, ...sounds].map((each) => this.#codecOf(each))
    const wanted = [...new Set(codecs)].toSorted().join(',')
    const stated = (attributes.get('CODECS') ?? '').split(',').toSorted().join(',')
    this.#require(stated === wanted, `variant ${uri} has CODECS ${stated}, its files ${wanted}`)
    this.#checkRate(attributes, `variant ${uri}`, [playlist, ...sounds.slice(0, 1)])
  }

  #checkIframes({ attributes }: Tag): void {
    const name = attributes.get('URI') ?? ''
    const playlist = this.#playlist(name)
    if (!playlist) return
    this.#require(this.#tags(playlist, 'EXT-X-I-FRAMES-ONLY').length === 1, `${name} does not say that it has I-frames only`)
    this.#checkRate(attributes, name, [playlist])
    const file = this.#files.get(playlist.segments[0]?.uri ?? '') ?? Buffer.alloc(0)
    const fragments = fragmentsOf(file)
    this.#require(
      playlist.segments.length === fragments.length,
      `${name} has ${playlist.segments.length} of ${fragments.length} keyframes`,
    )
    for (const [index, { offset, length }] of playlist.segments.entries()) {
      const fragment = fragments[index]
      const sample = fragment?.walked.tracks[0]?.samples[0]
      const isExact = sample && fragment.offset === offset && fragment.dataOffset + sample.data.length === offset + length
      this.#require(Boolean(isExact && sample.isKeyframe), `entry ${index} of ${name} is not exactly one keyframe`)
    }
  }

  /** Peak and average must be within a tenth of what is stated, and the peak below it. */
  #checkRate(attributes: Attributes, what: string, playlists: readonly (Playlist | undefined)[]): void {
    let average = 0
    let peak = 0
    for (const playlist of playlists) {
      const segments = playlist?.segments ?? []
      const seconds = segments.reduce((sum, segment) => sum + segment.seconds, 0)
      average += (segments.reduce((sum, { length }) => sum + length, 0) * 8) / seconds
      peak += peakOf(segments, Number(playlist && this.#tags(playlist, 'EXT-X-TARGETDURATION')[0]?.value))
    }
    const bandwidth = Number(attributes.get('BANDWIDTH'))
    const stated = Number(attributes.get('AVERAGE-BANDWIDTH'))
    this.#require(
      bandwidth >= peak - 1 && bandwidth <= peak * 1.1,
      `${what} has BANDWIDTH ${bandwidth}, measured is ${Math.round(peak)}`,
    )
    this.#require(
      Math.abs(stated - average) <= average / 10,
      `${what} has AVERAGE-BANDWIDTH ${stated}, measured is ${Math.round(average)}`,
    )
  }

  #checkMedia(playlist: Playlist | undefined, kind: 'video' | 'audio'): void {
    if (!playlist) return
    const { name, segments } = playlist
    const tag = (wanted: string) => this.#tags(playlist, wanted)[0]
    const target = Number(tag('EXT-X-TARGETDURATION')?.value)
    this.#require(tag('EXT-X-PLAYLIST-TYPE')?.value === 'VOD', `${name} is not of type VOD`)
    this.#require(tag('EXT-X-ENDLIST') !== undefined, `${name} does not end`)
    this.#require(Number(tag('EXT-X-VERSION')?.value) >= 6, `${name} has a version without EXT-X-MAP`)
    for (const { seconds } of segments)
      this.#require(Math.round(seconds) <= target, `${name} has ${seconds} s above its target ${target}`)
    const file = this.#files.get(segments[0]?.uri ?? '')
    if (!this.#require(file !== undefined, `${name} names a file that is not there`) || !file) return
    this.#require(tag('EXT-X-MAP')?.attributes.get('BYTERANGE') === `${initBytes(file)}@0`, `${name} has a wrong EXT-X-MAP`)
    this.#checkFile(playlist, file, kind)
  }

  #checkFile({ name, segments }: Playlist, file: Buffer, kind: 'video' | 'audio'): void {
    const track = readInit(file).leading
    const lead = editStart(file)
    const fragments = fragmentsOf(file)
    this.#require(track.kind === kind, `${name} is of another kind`)
    this.#require(
      JSON.stringify(sidxSizes(file)) === JSON.stringify(segments.map(({ length }) => length)),
      `${name} and the index differ`,
    )
    let at = fragments[0]?.offset ?? 0
    let decodeTicks = 0
    const starts: number[] = []
    for (const [index, segment] of segments.entries()) {
      this.#require(segment.offset === at, `segment ${index} of ${name} begins at ${segment.offset}, not ${at}`)
      at += segment.length
      const own = fragments.filter(({ offset }) => offset >= segment.offset && offset < at)
      const samples = own.flatMap(({ walked }) => walked.tracks.flatMap((each) => each.samples))
      const first = own[0]?.walked.tracks[0]
      this.#require(first?.samples[0]?.isKeyframe === true, `segment ${index} of ${name} does not begin with a keyframe`)
      this.#require(first?.decodeTicks === decodeTicks, `segment ${index} of ${name} does not go on where the one before ended`)
      this.#require(
        samples.every((sample) => sample.compositionOffsetTicks >= 0),
        `segment ${index} of ${name} shows before it decodes`,
      )
      if (first) starts.push(first.decodeTicks + (first.samples[0]?.compositionOffsetTicks ?? 0) - lead)
      const ticks = samples.reduce((sum, { durationTicks }) => sum + durationTicks, 0)
      decodeTicks += ticks
      const shown = (ticks - (index === 0 && kind === 'audio' ? lead : 0)) / track.timescaleHz
      this.#require(
        Math.abs(shown - segment.seconds) < 2e-6,
        `segment ${index} of ${name} lasts ${shown} s, not ${segment.seconds}`,
      )
    }
    this.#require(at === file.length, `${name} leaves out ${file.length - at} bytes`)
    if (kind === 'video') this.#starts.set(name, starts.map((ticks) => (ticks / track.timescaleHz).toFixed(5)).join())
  }

  #codecOf(playlist: Playlist | undefined): string {
    const file = this.#files.get(playlist?.segments[0]?.uri ?? '')
    const [entry] = file ? readInit(file).leading.sampleEntries : []
    return entry ? sampleEntryCodec(entry) : 'none'
  }

  #playlist(name: string): Playlist | undefined {
    const text = this.#text(name)
    if (!this.#require(text !== '', `${name} is not there`)) return undefined
    this.#require(text.startsWith('#EXTM3U\n'), `${name} does not begin as a playlist`)
    return parse(name, text)
  }

  #text(name: string): string {
    return this.#files.get(name)?.toString() ?? ''
  }

  #tags({ tags }: Playlist, name: string): Tag[] {
    return tags.filter((tag) => tag.name === name)
  }

  #require(holds: boolean, otherwise: string): boolean {
    if (!holds) this.broken.push(otherwise)
    return holds
  }
}

function parse(name: string, text: string): Playlist {
  const tags: Tag[] = []
  const segments: Segment[] = []
  for (const line of text.split('\n')) {
    const [, tag, value = ''] = /^#(EXT[A-Z0-9-]*):?(.*)$/.exec(line) ?? []
    if (tag !== undefined) tags.push({ name: tag, value, attributes: attributesOf(value) })
    if (line === '' || line.startsWith('#')) continue
    const last = (wanted: string) => tags.findLast((each) => each.name === wanted)?.value ?? ''
    const [length = 0, offset = 0] = last('EXT-X-BYTERANGE').split('@').map(Number)
    segments.push({ uri: line, seconds: Number.parseFloat(last('EXTINF')), offset, length })
  }
  return { name, tags, segments }
}

function attributesOf(value: string): Attributes {
  return new Map(
    [...value.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/g)].map(([, name = '', text = '']) => [name, text.replaceAll('"', '')]),
  )
}

/** The peak segment bit rate, RFC 8216 §4.1: of all runs between half and one and a half target durations. */
function peakOf(segments: readonly Segment[], target: number): number {
  const rates = segments.flatMap((_, first) =>
    segments.slice(first).map((__, more) => {
      const run = segments.slice(first, first + more + 1)
      const seconds = run.reduce((sum, segment) => sum + segment.seconds, 0)
      const isCounted = (seconds >= target / 2 && seconds <= target * 1.5) || run.length === segments.length
      return isCounted ? (run.reduce((sum, { length }) => sum + length, 0) * 8) / seconds : 0
    }),
  )
  return Math.max(0, ...rates)
}

type Placed = { readonly offset: number; readonly dataOffset: number; readonly walked: WalkedFragment }

/** The fragments of a file with their places. */
function fragmentsOf(file: Buffer): Placed[] {
  const boxes = [...boxesIn(file)]
  return boxes.flatMap(({ type, offset, sizeBytes }, index) => {
    const mdat = boxes[index + 1]
    if (type !== 'moof' || mdat?.type !== 'mdat') return []
    const [walked] = walkFragments(file.subarray(offset, offset + sizeBytes + mdat.sizeBytes))
    return walked ? [{ offset, dataOffset: mdat.offset + 8, walked }] : []
  })
}

function initBytes(file: Buffer): number {
  return [...boxesIn(file)].find(({ type }) => type === 'sidx')?.offset ?? 0
}

/** `media_time` of the only edit; 0 without one. */
function editStart(file: Buffer): number {
  const elst = findBox(file, 'moov', 'trak', 'edts', 'elst')
  return elst ? new Reader(elst.subarray(12)).i32() : 0
}

function sidxSizes(file: Buffer): number[] {
  const r = new Reader(requireBox(file, 'sidx'))
  r.skip(4 + 4 + 4 + 8 + 8 + 2) // version … reserved
  return Array.from({ length: r.u16() }, () => {
    const sizeBytes = r.u32()
    r.skip(8)
    return sizeBytes
  })
}
