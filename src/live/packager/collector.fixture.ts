/** Keeps what a packager says, and takes its parts apart, for tests. */
import assert from 'node:assert/strict'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { walkFragments, type WalkedTrack } from '#formats/mp4/strict-walker.fixture.ts'
import type { PackagerListener, Part, Segment } from './cmaf.ts'
import { Packager } from './packager.ts'

export class Collector implements PackagerListener {
  readonly segments: Segment[] = []
  readonly parts: Part[] = []
  endedCount = 0

  segmentStarted(segment: Segment): void {
    assert.ok(this.segments.at(-1)?.isComplete ?? true, 'a segment starts after the one before ended')
    assert.equal(segment.sequence, (this.segments.at(-1)?.sequence ?? segment.sequence - 1) + 1)
    this.segments.push(segment)
  }
  partAdded(part: Part, segment: Segment): void {
    assert.equal(segment, this.segments.at(-1))
    assert.equal(segment.parts.at(part.index), part)
    assert.deepEqual([part.segmentSequence, part.init], [segment.sequence, segment.init])
    this.parts.push(part)
  }
  segmentEnded(segment: Segment): void {
    assert.equal(segment.isComplete, true)
    assert.equal(segment, this.segments.at(-1))
  }
  ended(): void {
    this.endedCount += 1
  }

  /** What all parts have of one track, part by part. */
  runs(trackId: number): { part: Part; run: WalkedTrack }[] {
    return this.parts.flatMap((part) => {
      const [fragment, ...more] = walkFragments(Buffer.concat(part.chunks))
      assert.ok(fragment && more.length === 0)
      return fragment.tracks.filter((run) => run.trackId === trackId).map((run) => ({ part, run }))
    })
  }

  /** The samples of one track. */
  samples(trackId: number): { data: Buffer; decodeTicks: number; durationTicks: number; ptsTicks: number }[] {
    return this.runs(trackId).flatMap(({ run }) => {
      let decodeTicks = run.decodeTicks
      return run.samples.map(({ data, durationTicks, compositionOffsetTicks }) => {
        const at = decodeTicks
        decodeTicks += durationTicks
        return { data, decodeTicks: at, durationTicks, ptsTicks: at + compositionOffsetTicks }
      })
    })
  }
}

/** Packages the units with parts of 200 ms and segments of a second. */
export function packageAll(
  tracks: readonly Track[],
  units: Iterable<AccessUnit>,
  settings = { partMilliseconds: 200, segmentSeconds: 1 },
): { packager: Packager; collector: Collector } {
  const packager = new Packager({ tracks, settings })
  const collector = new Collector()
  packager.addListener(collector)
  for (const unit of units) packager.write(unit)
  packager.close()
  return { packager, collector }
}
