import { AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import { Dictionary, FFmpegError, FormatContext, InputFormat, Packet } from 'node-av/lib'
import type { PlayOptions, PlayResult } from '../play-stream.ts'
import { report, runPeer } from './peer.ts'
import { TrackMeter } from './track-meter.ts'

const openTimeoutMs = 20_000
const defaultIdleMs = 2500

async function play(options: PlayOptions, stopped: AbortSignal): Promise<void> {
  const startedMs = performance.now()
  const input = new FormatContext()
  // Without this, `openInput` makes a context that `interrupt` does not reach.
  input.allocContext()
  const packet = new Packet()
  packet.alloc()
  const end = new Ending(() => input.interrupt())
  stopped.addEventListener('abort', () => end.come('stopped'))
  end.comeIn(openTimeoutMs, 'idle')

  await open(input, options)
  const meters = new Map<number, TrackMeter>()
  let firstPacketMs: number | undefined
  let firstPictureMs: number | undefined
  while (!end.reason && (await input.readFrame(packet)) >= 0) {
    if (end.cutsPicture) break
    if (firstPacketMs === undefined) {
      firstPacketMs = performance.now() - startedMs
      report({ event: 'started' })
      if (options.seconds !== undefined) setTimeout(() => end.come('seconds'), options.seconds * 1000)
    }
    if (options.format !== 'file') end.comeIn(options.idleMs ?? defaultIdleMs, 'idle')
    const meter = meterOf(packet.streamIndex, { meters, input, decode: options.decode ?? false })
    meter?.take(packet)
    packet.unref()
    if (meter?.kind === 'video' && meter.frames > 0) firstPictureMs ??= performance.now() - startedMs
    if (countedPackets(meters) >= (options.untilFrames ?? Infinity)) end.come('frames')
  }
  if (firstPacketMs === undefined) throw new Error(`no packet came (${end.reason ?? 'closed'})`)
  for (const meter of meters.values()) meter.finish()
  const all = [...meters.values()]
  const result: Omit<PlayResult, 'messages'> = {
    tracks: all.map((meter) => meter.result()),
    end: end.reason ?? 'closed',
    firstPacketMs,
    ...(firstPictureMs === undefined ? {} : { firstPictureMs }),
    flashSeconds: all.flatMap(({ flashSeconds }) => flashSeconds),
    beepSeconds: all.flatMap(({ beepSeconds }) => beepSeconds),
  }
  report({ event: 'result', ...result })
}

/** Why playing ends: the first reason that comes up. It interrupts a read that waits for the network. */
class Ending {
  reason: PlayResult['end'] | undefined
  readonly #interrupt: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(interrupt: () => void) {
    this.#interrupt = interrupt
  }

  /** A read that is interrupted gives what libav's parser has of the next picture: a part of it, unless nothing came any more. */
  get cutsPicture(): boolean {
    return this.reason !== undefined && this.reason !== 'idle'
  }

  come(reason: PlayResult['end']): void {
    this.reason ??= reason
    this.#interrupt()
  }

  /** Replaces what was to come before. */
  comeIn(ms: number, reason: PlayResult['end']): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.come(reason), ms)
  }
}

async function open(input: FormatContext, { url, format, transport, isListening, isFromStart }: PlayOptions): Promise<void> {
  const settings = {
    rtsp: {
      rtsp_transport: transport ?? 'tcp',
      fflags: 'nobuffer',
      ...(isListening ? { rtsp_flags: 'listen', listen_timeout: '20' } : {}),
    },
    hls: isFromStart ? { live_start_index: '0' } : {},
    file: {},
  }[format]
  const inputFormat = format === 'file' ? null : InputFormat.findInputFormat(format)
  FFmpegError.throwIfError(await input.openInput(url, inputFormat, Dictionary.fromObject(settings)), 'open')
}

/** The meter of this packet's track, made with its first packet: not all formats know all tracks from the start. */
function meterOf(
  index: number,
  { meters, input, decode }: { meters: Map<number, TrackMeter>; input: FormatContext; decode: boolean },
): TrackMeter | undefined {
  const known = meters.get(index)
  const stream = input.streams[index]
  const isMedia = stream?.codecpar.codecType === AVMEDIA_TYPE_VIDEO || stream?.codecpar.codecType === AVMEDIA_TYPE_AUDIO
  if (known || !stream || !isMedia) return known
  const meter = new TrackMeter(stream, { decode })
  meters.set(index, meter)
  return meter
}

function countedPackets(meters: ReadonlyMap<number, TrackMeter>): number {
  const all = [...meters.values()]
  return (all.find(({ kind }) => kind === 'video') ?? all[0])?.packets ?? 0
}

await runPeer(play)
