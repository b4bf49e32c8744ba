import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { renderMediaPlaylist, type MediaPlaylist } from './media-playlist.ts'
import { renderMultivariantPlaylist } from './multivariant-playlist.ts'
import { parseMediaPlaylist } from './parse-media-playlist.ts'
import { renderVodPlaylist } from './vod-playlist.ts'

const startMs = Date.UTC(2026, 4, 1, 12, 0, 0, 250)

const live: MediaPlaylist = {
  targetDurationSeconds: 2,
  mediaSequence: 6,
  discontinuitySequence: 1,
  hasIndependentSegments: true,
  segments: [
    { uri: 'gap.m4s', durationSeconds: 1, mapUri: 'init-1.mp4', isGap: true },
    { uri: 'seg-7.m4s', durationSeconds: 1, mapUri: 'init-1.mp4', programDateTimeMs: startMs },
    {
      uri: 'seg-8.m4s',
      durationSeconds: 0.4,
      mapUri: 'init-2.mp4',
      programDateTimeMs: startMs + 1000,
      isDiscontinuity: true,
      parts: [
        { uri: 'part-8.0.mp4', durationSeconds: 0.2, isIndependent: true },
        { uri: 'part-8.1.mp4', durationSeconds: 0.2, isIndependent: false },
      ],
    },
  ],
  lowLatency: {
    partTargetSeconds: 0.216,
    openSegment: {
      mapUri: 'init-2.mp4',
      programDateTimeMs: startMs + 1400,
      parts: [{ uri: 'part-9.0.mp4', durationSeconds: 0.2, isIndependent: true }],
    },
    preloadHintUri: 'part-9.1.mp4',
  },
}

const liveText = `#EXTM3U
#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:2
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.648000,CAN-SKIP-UNTIL=12.000000
#EXT-X-PART-INF:PART-TARGET=0.216000
#EXT-X-MEDIA-SEQUENCE:6
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-GAP
#EXTINF:1.000000,
gap.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:00.250Z
#EXTINF:1.000000,
seg-7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:01.250Z
#EXT-X-PART:DURATION=0.200000,URI="part-8.0.mp4",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.200000,URI="part-8.1.mp4"
#EXTINF:0.400000,
seg-8.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:01.650Z
#EXT-X-PART:DURATION=0.200000,URI="part-9.0.mp4",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-9.1.mp4"
`

const vodText = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="a.mp4",BYTERANGE="700@0"
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:00.250Z
#EXTINF:1.600000,
#EXT-X-BYTERANGE:1000@700
a.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:01.850Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:500@1700
a.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="b.mp4",BYTERANGE="690@0"
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:01:00.250Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:400@690
b.mp4
#EXT-X-ENDLIST
`

test('a low-latency playlist has server control, parts, map changes and the hint', () => {
  assert.equal(renderMediaPlaylist(live), liveText)
})

test('a delta update names how many segments it skips, and the map of the first that stays', () => {
  const text = renderMediaPlaylist({ ...live, lowLatency: { partTargetSeconds: 0.216, skippedSegments: 1 } })
  const parsed = parseMediaPlaylist(text)
  assert.match(
    text,
    /#EXT-X-MEDIA-SEQUENCE:6\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXT-X-MAP:URI="init-1.mp4"/,
  )
  assert.deepEqual([parsed.skippedSegments, parsed.segments.map((segment) => segment.uri)], [1, ['seg-7.m4s', 'seg-8.m4s']])
})

test('a plain playlist has nothing of low latency, and an ended one ends', () => {
  const { lowLatency: _, hasIndependentSegments: __, ...plain } = live
  const text = renderMediaPlaylist({
    ...plain,
    isEnded: true,
    segments: live.segments.slice(1, 2),
    mediaSequence: 7,
    discontinuitySequence: 0,
  })
  assert.equal(
    text,
    `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-05-01T12:00:00.250Z
#EXTINF:1.000000,
seg-7.m4s
#EXT-X-ENDLIST
`,
  )
})

test('an ended low-latency playlist has no hint', () => {
  assert.match(renderMediaPlaylist({ ...live, isEnded: true }), /part-9.0.mp4",INDEPENDENT=YES\n#EXT-X-ENDLIST\n$/)
})

test('a recorded range is byte ranges of files, with a discontinuity where time jumps', () => {
  const initByteRange = { offset: 0, length: 700 }
  const text = renderVodPlaylist({
    entries: [
      {
        uri: 'a.mp4',
        initByteRange,
        byteRange: { offset: 700, length: 1000 },
        durationSeconds: 1.6,
        programDateTimeMs: startMs,
        isDiscontinuity: false,
      },
      {
        uri: 'a.mp4',
        initByteRange,
        byteRange: { offset: 1700, length: 500 },
        durationSeconds: 1,
        programDateTimeMs: startMs + 1600,
        isDiscontinuity: false,
      },
      {
        uri: 'b.mp4',
        initByteRange: { offset: 0, length: 690 },
        byteRange: { offset: 690, length: 400 },
        durationSeconds: 1,
        programDateTimeMs: startMs + 60_000,
        isDiscontinuity: true,
      },
    ],
  })
  assert.equal(text, vodText)
})

test('a recorded range without media is a playlist that has ended', () => {
  assert.equal(parseMediaPlaylist(renderVodPlaylist({ entries: [] })).isEnded, true)
})

test('a multivariant playlist presents its variants', () => {
  const text = renderMultivariantPlaylist([
    {
      uri: 'live.m3u8',
      bandwidthBps: 4_000_000.2,
      averageBandwidthBps: 3_500_000,
      codecs: 'avc1.64001f,mp4a.40.2',
      resolution: { width: 1280, height: 720 },
      framesPerSecond: 29.970_03,
    },
    { uri: 'sound.m3u8', bandwidthBps: 64_000, codecs: 'opus' },
  ])
  assert.equal(
    text,
    `#EXTM3U
#EXT-X-VERSION:10
#EXT-X-STREAM-INF:BANDWIDTH=4000001,AVERAGE-BANDWIDTH=3500000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970
live.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="opus"
sound.m3u8
`,
  )
})

test('a playlist is read back as it was written', () => {
  const parsed = parseMediaPlaylist(liveText)
  assert.equal(parsed.canBlockReload, true)
  assert.deepEqual([parsed.partTargetSeconds, parsed.partHoldBackSeconds, parsed.canSkipUntilSeconds], [0.216, 0.648, 12])
  assert.deepEqual([parsed.mediaSequence, parsed.discontinuitySequence, parsed.targetDurationSeconds], [6, 1, 2])
  assert.deepEqual(
    parsed.segments.map((segment) => [segment.isGap, segment.isDiscontinuity, segment.map?.uri, segment.parts.length]),
    [
      [true, false, 'init-1.mp4', 0],
      [false, false, 'init-1.mp4', 0],
      [false, true, 'init-2.mp4', 2],
    ],
  )
  assert.equal(parsed.segments[1]?.programDateTimeMs, startMs)
  assert.deepEqual(parsed.openParts, live.lowLatency?.openSegment?.parts)
  assert.equal(parsed.preloadHintUri, 'part-9.1.mp4')
  assert.deepEqual(parseMediaPlaylist(vodText).segments[2]?.byteRange, { offset: 690, length: 400 })
  assert.deepEqual(parseMediaPlaylist(vodText).segments[2]?.map?.byteRange, { offset: 0, length: 690 })
})

const malformed: [name: string, text: string][] = [
  ['that is none', '<html>'],
  ['without a target duration', '#EXTM3U\n#EXTINF:1,\na'],
  ['with a segment without a duration', '#EXTM3U\n#EXT-X-TARGETDURATION:1\na'],
  ['with a number that is none', '#EXTM3U\n#EXT-X-TARGETDURATION:x'],
  ['with a broken attribute list', '#EXTM3U\n#EXT-X-PART-INF:PART-TARGET="1'],
  ['with a part without a URI', '#EXTM3U\n#EXT-X-PART:DURATION=1'],
]
for (const [name, text] of malformed) {
  test(`a playlist ${name} is refused`, () => {
    assert.throws(
      () => parseMediaPlaylist(text),
      (error) => error instanceof AppError && error.code === 'MALFORMED',
    )
  })
}

fuzzText('media playlist', [liveText, vodText], parseMediaPlaylist)
