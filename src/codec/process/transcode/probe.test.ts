import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { SourceProbe } from '#codec/transcoding.ts'
import {
  hdr10,
  makeAnamorphic,
  makeAudioOnly,
  makeHdr10,
  makeInterlaced,
  makeLongGop,
  makeMp4,
  makeRotated,
  makeShortAudio,
  makeSurround,
  makeTransportStream,
  makeVariableRate,
  makeWebm,
} from '../../../../test/support/job-files.ts'
import { probeSource } from './probe.ts'
import { startWorkshop, testRun } from './transcode.fixture.ts'

describe('a source is described by what is in it', () => {
  let workshop: Awaited<ReturnType<typeof startWorkshop>>
  before(async () => {
    workshop = await startWorkshop()
  })
  after(async () => workshop[Symbol.asyncDispose]())

  const cases: Record<string, [(directory: string) => Promise<string>, (probe: SourceProbe) => unknown, unknown]> = {
    'MP4 with H.264 and AAC': [
      makeMp4,
      ({ video, audio, notSeekable }) => [
        video?.codec,
        video?.width,
        video?.height,
        video?.frameCount,
        video?.keyframeCount,
        audio.length,
        notSeekable,
      ],
      ['h264', 320, 180, 100, 4, 1, undefined],
    ],
    'an even rate': [
      makeMp4,
      ({ video }) => [video?.frameRate, video?.isVariableRate, video?.longestGopMs, video?.startMs],
      [{ num: 25, den: 1 }, false, 1000, 0],
    ],
    'a rate of 30000/1001': [
      async (directory) => makeMp4(directory, { name: 'ntsc', fps: '30000/1001' }),
      ({ video }) => [video?.frameRate, video?.isVariableRate],
      [{ num: 30_000, den: 1001 }, false],
    ],
    'a rate of 24000/1001 in milliseconds': [
      async (directory) => makeWebm(directory, { name: 'film', fps: '24000/1001' }),
      ({ video }) => [video?.codec, video?.frameRate, video?.isVariableRate],
      ['vp9', { num: 24_000, den: 1001 }, false],
    ],
    'an uneven rate': [makeVariableRate, ({ video }) => video?.isVariableRate, true],
    'one long GOP': [makeLongGop, ({ video }) => [video?.keyframeCount, video?.longestGopMs], [1, 4000]],
    'interlaced pictures': [
      makeInterlaced,
      ({ video }) => [video?.fieldOrder, video?.frameRate],
      ['top-first', { num: 25, den: 1 }],
    ],
    'whole pictures': [makeMp4, ({ video }) => video?.fieldOrder, 'progressive'],
    'a turned picture': [makeRotated, ({ video }) => [video?.rotationDegrees, video?.width], [90, 320]],
    'pixels that are not square': [makeAnamorphic, ({ video }) => video?.pixelAspect, { num: 64, den: 45 }],
    HDR10: [
      makeHdr10,
      ({ video }) => [video?.bitDepth, video?.pixelFormat, video?.color, video?.hdr],
      [
        10,
        'yuv420p10le',
        { primaries: 'bt2020', transfer: 'smpte2084', matrix: 'bt2020nc', range: 'tv' },
        { kind: 'hdr10', ...hdr10 },
      ],
    ],
    'two languages': [
      makeSurround,
      ({ audio }) => audio.map(({ track, codec, channels, language }) => [track, codec, channels, language]),
      [
        [0, 'aac', 6, 'eng'],
        [1, 'aac', 2, 'deu'],
      ],
    ],
    'late and short sound': [
      makeShortAudio,
      ({ audio, durationMs }) => [
        Math.round((audio[0]?.startMs ?? 0) / 100),
        Math.round((audio[0]?.durationMs ?? 0) / 100),
        durationMs,
      ],
      [10, 20, 4000],
    ],
    'sound alone': [makeAudioOnly, ({ video, audio }) => [video, audio[0]?.sampleRate], [undefined, 48_000]],
    'MPEG-TS': [
      makeTransportStream,
      ({ format, video, notSeekable }) => [format, video?.frameCount, notSeekable],
      ['mpegts', 100, undefined],
    ],
  }
  for (const [name, [make, pick, expected]] of Object.entries(cases)) {
    test(name, async () => {
      const path = await make(workshop.path)
      assert.deepEqual(pick(await probeSource(workshop.urlOf(path), testRun())), expected)
    })
  }
})
