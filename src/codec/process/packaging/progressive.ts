import { crc32 } from 'node:zlib'
import { join } from 'node:path'
import { Dictionary, FFmpegError, FormatContext, Packet, Rational as AvRational, type Stream } from 'node-av/lib'
import { boxesIn } from '#formats/mp4/read-boxes.ts'
import { sampleEntryCodec } from '#formats/mp4/sample-entry-codecs.ts'
import { visualEntryBytes } from '#formats/mp4/sample-entry-codecs.ts'
import { fillParameters } from '../transcode/chunk-stream.ts'
import { averageBitsPerSecond, peakBitsPerSecond, type Stretch } from './bit-rates.ts'
import { leadTicks } from './cmaf-track.ts'
import { cutTicks, secondsOf } from './cuts.ts'
import { decodedRanges } from './decoded-ranges.ts'
import { requireDuration } from './durations.ts'
import { verifyPass, type Packaged, type Packaging } from './packaging.ts'
import { sampleEntryOf } from './sample-entry.ts'
import { StitchedTrack, type Sample } from './stitched-track.ts'
import { trackError } from './track-error.ts'
import { framesOf, verifyFile } from './verify-file.ts'

const fileName = 'video.mp4'

/**
 * One MP4 with all tracks that plays while it downloads, by libav's muxer: `moov` first, edit lists for what encoders put before
 * the first picture.
 */
export async function packageMp4(packaging: Packaging): Promise<Packaged> {
  const { order, meter, signal } = packaging
  const path = join(order.outputDirectory, fileName)
  await using stack = new AsyncDisposableStack()
  const tracks: Mp4Track[] = []
  for (const ordered of order.tracks) {
    const track = stack.use(await StitchedTrack.open(ordered, signal))
    tracks.push(new Mp4Track(track, { sampleEntry: await sampleEntryOf(track.stream), packaging }))
  }
  await writeMp4(path, tracks, packaging)
  for (const { track, endSeconds } of tracks) requireDuration(track, endSeconds, order.timeline)
  const expected = tracks.map(({ track, sampleCount, crc32 }) => ({
    name: track.order.name,
    kind: track.order.kind,
    sampleCount,
    crc32,
    ...framesOf(track),
    decoded: decodedRanges(track, sampleCount),
    pass: verifyPass(track.order.name),
  }))
  await verifyFile(path, expected, { meter, signal })
  const facts = tracks.map((track) => track.facts())
  return { entry: fileName, tracks: facts, files: [{ name: fileName, contentType: 'video/mp4' }] }
}

async function writeMp4(path: string, tracks: readonly Mp4Track[], { signal }: Packaging): Promise<void> {
  const context = new FormatContext()
  try {
    FFmpegError.throwIfError(context.allocOutputContext2(null, 'mp4', path), 'make an MP4 muxer')
    for (const track of tracks) track.describe(context)
    FFmpegError.throwIfError(await context.openOutput(), `write ${fileName}`)
    using options = Dictionary.fromObject({ movflags: '+faststart' })
    FFmpegError.throwIfError(await context.writeHeader(options), `write the head of ${fileName}`)
    using packet = new Packet()
    packet.alloc()
    for (;;) {
      signal.throwIfAborted()
      const next = await earliest(tracks)
      if (!next) break
      next.takeInto(packet)
      FFmpegError.throwIfError(await context.writeFrame(packet), `write ${fileName}`)
    }
    FFmpegError.throwIfError(await context.writeTrailer(), `write the index of ${fileName}`)
  } finally {
    await context.closeOutput()
    context.freeContext()
  }
}

/** The track whose next sample is decoded first. */
async function earliest(tracks: readonly Mp4Track[]): Promise<Mp4Track | undefined> {
  let first: Mp4Track | undefined
  for (const track of tracks) {
    const dtsSeconds = await track.nextDtsSeconds()
    if (dtsSeconds !== undefined && dtsSeconds < (first?.dtsSeconds ?? Infinity)) first = track
  }
  return first
}

/** One track on its way into the muxer. */
class Mp4Track {
  readonly track: StitchedTrack
  readonly #samples: AsyncIterator<Sample, void>
  readonly #sampleEntry: Buffer
  readonly #packaging: Packaging
  readonly #segments: { sizeBytes: number; durationSeconds: number }[] = []
  #stream: Stream | undefined
  #next: Sample | undefined
  #isOver = false
  #leadTicks = 0
  sampleCount = 0
  endSeconds = 0
  crc32 = 0
  dtsSeconds = 0

  constructor(track: StitchedTrack, { sampleEntry, packaging }: { sampleEntry: Buffer; packaging: Packaging }) {
    this.track = track
    this.#samples = track.samples()
    this.#sampleEntry = sampleEntry
    this.#packaging = packaging
  }

  /** Adds its stream to the muxer. */
  describe(context: FormatContext): void {
    const { stream, order, timeBase } = this.track
    const added = context.newStream()
    // With a record in place of Annex B the muxer takes samples as they are.
    const record = configurationOf(this.#sampleEntry)
    fillParameters(added.codecpar, record ? { ...stream, extradata: record.toString('base64') } : stream)
    if (stream.codec === 'h265') added.codecpar.codecTag = 'hvc1'
    added.timeBase = new AvRational(timeBase.num, timeBase.den)
    if (stream.kind === 'video') added.avgFrameRate = new AvRational(timeBase.den, timeBase.num)
    if (order.kind === 'audio') {
      const { language, title } = order
      added.metadata = Dictionary.fromObject({ ...(language ? { language } : {}), ...(title ? { title } : {}) })
    }
    this.#stream = added
  }

  /** When the next sample is decoded; `undefined` at the end. */
  async nextDtsSeconds(): Promise<number | undefined> {
    if (!this.#next && !this.#isOver) await this.#load()
    return this.#next ? this.dtsSeconds : undefined
  }

  /** Makes a packet of the next sample. */
  takeInto(packet: Packet): void {
    const sample = this.#next
    if (!sample || !this.#stream) throw new Error('no sample is waiting')
    const { order, timeBase } = this.track
    packet.unref()
    packet.data = sample.data
    packet.pts = BigInt(sample.ptsTicks)
    packet.dts = BigInt(this.#dtsTicks(sample))
    packet.duration = BigInt(sample.durationTicks)
    packet.isKeyframe = sample.isKeyframe
    packet.streamIndex = this.#stream.index
    packet.rescaleTs(new AvRational(timeBase.num, timeBase.den), this.#stream.timeBase)
    this.#count(sample)
    this.#next = undefined
    this.#packaging.meter.reach(order.name, this.endSeconds)
  }

  /** What is known of the track when all was written. */
  facts(): Packaged['tracks'][number] {
    const { order, stream } = this.track
    const stretches: readonly Stretch[] = this.#segments
    const targetSeconds = Math.max(1, Math.round(secondsOf(this.#packaging.cuts.step)))
    return {
      name: order.name,
      kind: order.kind,
      codecs: sampleEntryCodec(this.#sampleEntry),
      ...(stream.kind === 'video' ? { width: stream.width, height: stream.height } : {}),
      frameCount: this.sampleCount,
      durationMs: this.endSeconds * 1000,
      sizeBytes: stretches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      averageBitsPerSecond: averageBitsPerSecond(stretches),
      peakBitsPerSecond: peakBitsPerSecond(stretches, targetSeconds),
    }
  }

  async #load(): Promise<void> {
    const { order, timeBase } = this.track
    const endTicks = secondsOf(this.#packaging.duration) / secondsOf(timeBase)
    for (;;) {
      const next = await this.#samples.next()
      if (next.done) break
      // Encoders of sound end with a packet of nothing.
      if (order.kind === 'audio' && next.value.ptsTicks >= endTicks) continue
      this.#next = next.value
      if (this.sampleCount === 0) this.#leadTicks = leadTicks(next.value)
      this.dtsSeconds = this.#dtsTicks(next.value) * secondsOf(timeBase)
      return
    }
    this.#isOver = true
  }

  /** Frames are decoded at an even pace, so early that each is there when it is shown. */
  #dtsTicks({ ptsTicks }: Sample): number {
    const { order } = this.track
    if (order.kind === 'audio') return ptsTicks
    const dtsTicks = this.sampleCount - this.#leadTicks
    if (dtsTicks <= ptsTicks) return dtsTicks
    throw trackError(order.name, `frame ${this.sampleCount} is shown at ${ptsTicks}, before it can be decoded at ${dtsTicks}`)
  }

  #count({ data, ptsTicks, durationTicks }: Sample): void {
    const { timeBase } = this.track
    this.crc32 = crc32(data, this.crc32)
    this.sampleCount += 1
    this.endSeconds = Math.max(this.endSeconds, (ptsTicks + durationTicks) * secondsOf(timeBase))
    if (ptsTicks >= cutTicks(this.#packaging.cuts, this.#segments.length, timeBase) || this.#segments.length === 0) {
      this.#segments.push({ sizeBytes: 0, durationSeconds: 0 })
    }
    const segment = this.#segments.at(-1)
    if (!segment) return
    segment.sizeBytes += data.length
    segment.durationSeconds += durationTicks * secondsOf(timeBase)
  }
}

/** `avcC` or `hvcC` of a sample entry. */
function configurationOf(sampleEntry: Buffer): Buffer | undefined {
  if (!/^(avc1|hvc1)$/.test(sampleEntry.toString('latin1', 4, 8))) return undefined
  for (const { type, body } of boxesIn(sampleEntry.subarray(visualEntryBytes))) if (/^(avcC|hvcC)$/.test(type)) return body
  return undefined
}
