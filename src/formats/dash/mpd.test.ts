import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderMpd, type DashAudio, type DashVideo } from './mpd.ts'

const file = {
  initByteRange: { offset: 0, length: 742 },
  indexByteRange: { offset: 742, length: 76 },
  bandwidthBitsPerSecond: 3_000_000.4,
}
const picture: DashVideo = {
  ...file,
  id: '720p',
  uri: '720p.mp4',
  codecs: 'avc1.64001f',
  width: 1280,
  height: 720,
  frameRate: { num: 30_000, den: 1001 },
}
const sound: DashAudio = {
  ...file,
  id: 'audio-0',
  uri: 'audio-0.mp4',
  codecs: 'mp4a.40.2',
  sampleRateHz: 48_000,
  channels: 6,
  language: 'en',
  title: 'Cats & <dogs>',
  isDefault: true,
}

test('a manifest names the index and header of each file', () => {
  assert.equal(
    renderMpd({ durationSeconds: 60.06, video: [picture], audio: [sound] }),
    `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011,urn:mpeg:dash:profile:cmaf:2019" type="static" mediaPresentationDuration="PT60.06S" minBufferTime="PT4S">
  <Period id="0" start="PT0S" duration="PT60.06S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
      <Representation id="720p" codecs="avc1.64001f" bandwidth="3000001" width="1280" height="720" frameRate="30000/1001" sar="1:1">
        <BaseURL>720p.mp4</BaseURL>
        <SegmentBase indexRange="742-817">
          <Initialization range="0-741"/>
        </SegmentBase>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" lang="en" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
      <Label>Cats &amp; &lt;dogs&gt;</Label>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
      <Representation id="audio-0" codecs="mp4a.40.2" bandwidth="3000001" audioSamplingRate="48000">
        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="6"/>
        <BaseURL>audio-0.mp4</BaseURL>
        <SegmentBase indexRange="742-817">
          <Initialization range="0-741"/>
        </SegmentBase>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
`,
  )
})

test('players switch within one codec and one colour; HDR is told', () => {
  const small = { ...picture, id: '360p', codecs: 'avc1.64001e' }
  const modern = { ...picture, id: '720p-h265', codecs: 'hvc1.1.6.L93.90' }
  const hdr = { ...modern, id: '720p-hdr', codecs: 'hvc1.2.4.L93.90', color: { primaries: 9, transfer: 16, matrix: 9 } }
  const text = renderMpd({ durationSeconds: 1, video: [picture, small, modern, hdr], audio: [] })
  const sets = text.split('<AdaptationSet').slice(1)
  assert.deepEqual(
    sets.map((set) => [...set.matchAll(/Representation id="([^"]+)"/g)].map(([, id]) => id)),
    [['720p', '360p'], ['720p-h265'], ['720p-hdr']],
  )
  assert.match(sets[2] ?? '', /cicp:TransferCharacteristics" value="16"/)
  assert.doesNotMatch(sets[1] ?? '', /cicp/)
})

test('what a title has that XML may not have is left out', () => {
  assert.match(renderMpd({ durationSeconds: 1, video: [], audio: [{ ...sound, title: 'a\u0001b\nc' }] }), /<Label>a b c<\/Label>/)
})
