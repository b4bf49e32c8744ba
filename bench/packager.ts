/**
 * What packaging costs: access units of a 25 fps, 4 Mbit/s camera with AAC through a `Packager`, in microseconds of one core each.
 * Run: node bench/packager.ts [seconds of stream]
 */
import type { AccessUnit } from '#formats/media/access-unit.ts'
import { HlsWindow } from '#live/packager/hls-window.ts'
import { Packager } from '#live/packager/packager.ts'
import { createLog } from '#lib/log.ts'
import { audioTrack, unitAt, videoTrack } from '../test/support/media.ts'

const streamSeconds = Number(process.argv[2] ?? 600)
const settings = { partMilliseconds: 200, segmentSeconds: 1, segmentCount: 7 }
const rounds = 5

/** A keyframe of 100 kB each second, other frames of 17 kB: 4 Mbit/s. */
function makeUnits(): AccessUnit[] {
  const units: AccessUnit[] = []
  for (let frame = 0; frame < streamSeconds * 25; frame++) {
    const isKeyframe = frame % 25 === 0
    units.push(share(frame * 40, { track: videoTrack, isKeyframe, sizeBytes: isKeyframe ? 100_000 : 17_000 }))
  }
  for (let frame = 0; (frame * 1024) / 48_000 < streamSeconds; frame++) {
    units.push(share((frame * 1024) / 48, { track: audioTrack, isKeyframe: true, sizeBytes: 340 }))
  }
  return units.sort((a, b) => a.dtsTicks / a.track.clockRateHz - b.dtsTicks / b.track.clockRateHz)
}

const payloads = new Map<number, Buffer>()

/** One payload for each size, so that the benchmark itself needs little memory. */
function share(atMs: number, options: { track: typeof videoTrack; isKeyframe: boolean; sizeBytes: number }): AccessUnit {
  const data = payloads.get(options.sizeBytes) ?? Buffer.alloc(options.sizeBytes, 7)
  payloads.set(options.sizeBytes, data)
  return { ...unitAt(atMs, { ...options, sizeBytes: 8 }), data }
}

async function main(): Promise<void> {
  const units = makeUnits()
  const bytes = units.reduce((sum, unit) => sum + unit.data.length, 0)
  const log = createLog({ level: 'silent', pretty: false })
  console.log('listener                    µs/unit   MB/s   core at 1 stream')
  for (const [name, hasWindow, renders] of [
    ['none', false, false],
    ['HLS window', true, false],
    ['HLS window, one viewer', true, true],
  ] as const) {
    let bestMs = Infinity
    for (let round = 0; round < rounds; round++) {
      const packager = new Packager({ tracks: [videoTrack, audioTrack], settings })
      const window = new HlsWindow({ prefix: 'bench', packager, settings, log })
      if (hasWindow) packager.addListener(window)
      const startMs = performance.now()
      let parts = 0
      for (const unit of units) {
        packager.write(unit)
        if (!renders || packager.stats.parts === parts || packager.stats.segments < 2) continue
        parts = packager.stats.parts
        await window.playlist({})
      }
      bestMs = Math.min(bestMs, performance.now() - startMs)
      packager.close()
    }
    const perUnit = ((bestMs * 1000) / units.length).toFixed(2)
    const rate = (bytes / 1000 / bestMs).toFixed(0)
    const share = ((bestMs / 1000 / streamSeconds) * 100).toFixed(3)
    console.log(`${name.padEnd(26)} ${perUnit.padStart(8)} ${rate.padStart(6)}   ${share} %`)
  }
}

await main()
