import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderFilePlaylist, targetDurationOf } from './file-playlist.ts'
import { renderMasterPlaylist, type MasterAudio, type MasterVideo } from './master-playlist.ts'
import { parseMediaPlaylist } from './parse-media-playlist.ts'

const playlist = {
  uri: '720p.mp4',
  initByteRange: { offset: 0, length: 742 },
  targetDurationSeconds: 6,
  segments: [
    { offset: 818, length: 5000, durationSeconds: 6.006 },
    { offset: 5818, length: 700, durationSeconds: 0.5005 },
  ],
}

const playlistText = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="720p.mp4",BYTERANGE="742@0"
#EXTINF:6.006000,
#EXT-X-BYTERANGE:5000@818
720p.mp4
#EXTINF:0.500500,
#EXT-X-BYTERANGE:700@5818
720p.mp4
#EXT-X-ENDLIST
`

test('the playlist of a file names its stretches', () => {
  assert.equal(renderFilePlaylist(playlist), playlistText)
  assert.equal(parseMediaPlaylist(playlistText).segments.length, 2)
  assert.match(renderFilePlaylist({ ...playlist, isIframesOnly: true }), /^#EXT-X-I-FRAMES-ONLY$/m)
})

test('no segment, rounded, is longer than the target duration', () => {
  assert.equal(targetDurationOf([6.006, 0.5]), 6)
  assert.equal(targetDurationOf([5.5]), 6)
  assert.equal(targetDurationOf([0.04]), 1)
})

const rate = (peakBitsPerSecond: number) => ({ peakBitsPerSecond, averageBitsPerSecond: peakBitsPerSecond / 2 })
const picture: MasterVideo = {
  uri: '720p.m3u8',
  codecs: 'avc1.64001f',
  width: 1280,
  height: 720,
  framesPerSecond: 30_000 / 1001,
  videoRange: 'SDR',
  rate: rate(3_000_000),
  iframes: { uri: '720p-iframes.m3u8', rate: rate(200_000) },
}
const sound: MasterAudio = {
  uri: 'audio-0.m3u8',
  codecs: 'mp4a.40.2',
  name: 'English',
  language: 'en',
  isDefault: true,
  channels: 2,
  rate: rate(128_000),
}

test('a master offers each picture with each codec of sound, and its keyframes', () => {
  const dubbed = { ...sound, uri: 'audio-1.m3u8', name: 'Say "hi"\n', language: 'de', isDefault: false, rate: rate(192_000) }
  assert.equal(
    renderMasterPlaylist({ video: [picture], audio: [sound, dubbed] }),
    `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-0",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio-0.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-0",NAME="Say  hi  ",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="audio-1.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3192000,AVERAGE-BANDWIDTH=1596000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO="audio-0",CLOSED-CAPTIONS=NONE
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=100000,CODECS="avc1.64001f",RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI="720p-iframes.m3u8"
`,
  )
})

test('pictures without sound name no group, and sounds alone are variants', () => {
  const silent = renderMasterPlaylist({ video: [picture], audio: [] })
  assert.match(silent, /CODECS="avc1\.64001f",/)
  assert.doesNotMatch(silent, /AUDIO/)
  const alone = renderMasterPlaylist({ video: [], audio: [sound] })
  assert.match(alone, /#EXT-X-STREAM-INF:BANDWIDTH=128000,AVERAGE-BANDWIDTH=64000,CODECS="mp4a\.40\.2"\naudio-0\.m3u8\n/)
})
