import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAudio, makeVideo, orderOf } from '../../src/codec/process/packaging/chunks.fixture.ts'
import { packageWork } from '../../src/codec/process/packaging/package.ts'
import { brokenHlsRules, loadWork } from './hls-rules.ts'
import { temporaryDirectory } from './temp-directory.ts'

/** What is done to a sound work, and the rule that must be found broken. */
const damages: [string, file: string, from: RegExp, to: string, found: RegExp][] = [
  ['a playlist that is not there', 'master.m3u8', /h264-iframes\.m3u8/, 'other.m3u8', /other\.m3u8 is not there/],
  ['a master without I-frames', 'master.m3u8', /#EXT-X-I-FRAME-STREAM-INF.*\n/, '', /0 I-frame playlists/],
  ['a bandwidth below the peak', 'master.m3u8', /STREAM-INF:BANDWIDTH=\d+/, 'STREAM-INF:BANDWIDTH=1000', /BANDWIDTH 1000/],
  ['codecs of another profile', 'master.m3u8', /avc1\.64/, 'avc1.42', /CODECS/],
  ['a variant without frame rate', 'master.m3u8', /FRAME-RATE=[\d.]+,/, '', /no FRAME-RATE/],
  ['a segment that lasts longer', 'h264.m3u8', /EXTINF:2\.000000/, 'EXTINF:2.040000', /lasts 2 s, not 2\.04/],
  ['a target duration that is too short', 'h264.m3u8', /DURATION:2/, 'DURATION:1', /above its target 1/],
  ['a byte range that begins late', 'h264.m3u8', /BYTERANGE:(\d+)@\d/, 'BYTERANGE:$1@9', /segment 0 of h264\.m3u8 begins at/],
  ['a live playlist', 'aac.m3u8', /#EXT-X-ENDLIST\n/, '', /does not end/],
  ['a keyframe that is cut', 'h264-iframes.m3u8', /BYTERANGE:\d(\d+)@/, 'BYTERANGE:1$1@', /not exactly one keyframe/],
]

test('the checker of HLS rules finds what is broken, and only that', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [await makeVideo(directory.path, { codec: 'h264' }), await makeAudio(directory.path, { codec: 'aac' })]
  const run = { signal: new AbortController().signal, nowMs: () => performance.now(), onProgress: () => {} }
  await packageWork(orderOf(tracks, output.path), run)
  const work = await loadWork(output.path)
  assert.deepEqual(brokenHlsRules(work), [])
  for (const [what, file, from, to, found] of damages) {
    const text = work.get(file)?.toString() ?? ''
    assert.match(text, from, what)
    const damaged = new Map(work).set(file, Buffer.from(text.replace(from, to)))
    assert.match(brokenHlsRules(damaged).join('\n'), found, what)
  }
})
