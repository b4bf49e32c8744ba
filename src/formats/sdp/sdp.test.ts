import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aacHighBitRate, type RtpTrackDescription } from '#formats/rtp/track-description.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { describeSdpTracks } from './sdp-tracks.ts'
import { parseSdp, sdpLimits } from './session-description.ts'
import { writeSdp } from './write-sdp.ts'

const sps = Buffer.from('6764000dacd941419f9f011000000300100000030320f1429960', 'hex')
const pps = Buffer.from('68ebe3cb22c0', 'hex')
const h265 = {
  vps: Buffer.from('40010c01ffff01600000030090000003000003005d959809', 'hex'),
  sps: Buffer.from('42010101600000030090000003000003005da00280802d165959a4932bc05a70808000000300800000190', 'hex'),
  pps: Buffer.from('4401c172b46240', 'hex'),
}
const config = Buffer.from('1190', 'hex')

const descriptions: [name: string, description: RtpTrackDescription][] = [
  ['H264', { kind: 'video', payloadType: 96, clockRateHz: 90_000, parameters: { codec: 'h264', sps, pps } }],
  ['H264 without parameter sets', { kind: 'video', payloadType: 96, clockRateHz: 90_000, parameters: { codec: 'h264' } }],
  ['H265', { kind: 'video', payloadType: 97, clockRateHz: 90_000, parameters: { codec: 'h265', ...h265, hasDonl: false } }],
  ['H265 with DONL', { kind: 'video', payloadType: 97, clockRateHz: 90_000, parameters: { codec: 'h265', hasDonl: true } }],
  [
    'AAC',
    {
      kind: 'audio',
      payloadType: 98,
      clockRateHz: 48_000,
      parameters: { codec: 'aac', config, sampleRateHz: 48_000, channelCount: 2, auHeader: aacHighBitRate },
    },
  ],
  ['Opus, stereo', { kind: 'audio', payloadType: 99, clockRateHz: 48_000, parameters: { codec: 'opus', channelCount: 2 } }],
  ['Opus, mono', { kind: 'audio', payloadType: 99, clockRateHz: 48_000, parameters: { codec: 'opus', channelCount: 1 } }],
  [
    'PCMA',
    { kind: 'audio', payloadType: 8, clockRateHz: 8000, parameters: { codec: 'pcma', sampleRateHz: 8000, channelCount: 1 } },
  ],
  [
    'PCMU 16 kHz',
    {
      kind: 'audio',
      payloadType: 100,
      clockRateHz: 16_000,
      parameters: { codec: 'pcmu', sampleRateHz: 16_000, channelCount: 2 },
    },
  ],
]

for (const [name, description] of descriptions) {
  test(`${name} is written and read back`, () => {
    const text = writeSdp({ name: 'gate', medias: [{ description, control: 'trackID=7' }] })
    const session = parseSdp(text)
    assert.equal(session.name, 'gate')
    const [track] = describeSdpTracks(session)
    assert.ok(track?.kind === 'usable')
    assert.equal(track.control, 'trackID=7')
    assert.deepEqual(track.description, description)
  })
}

test('the description of a live stream is as players expect it', () => {
  const medias = descriptions.slice(0, 1).map(([, description]) => ({ description, control: 'trackID=1' }))
  assert.deepEqual(writeSdp({ name: 'gate', medias }).split('\r\n'), [
    'v=0',
    'o=- 0 0 IN IP4 127.0.0.1',
    's=gate',
    'c=IN IP4 0.0.0.0',
    't=0 0',
    'a=control:*',
    'a=range:npt=now-',
    'm=video 0 RTP/AVP 96',
    'a=rtpmap:96 H264/90000',
    'a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QADazZQUGfnwEQAAADABAAAAMDIPFCmWA=,aOvjyyLA; profile-level-id=64000D',
    'a=control:trackID=1',
    '',
  ])
})

const annexB = Buffer.concat([Buffer.of(0, 0, 0, 1), sps, Buffer.of(0, 0, 0, 1), pps]).toString('base64')
const h264Map = 'a=rtpmap:96 H264/90000'
const h264 = { kind: 'video', payloadType: 96, clockRateHz: 90_000, parameters: { codec: 'h264', sps, pps } } as const
const sprop = `sprop-parameter-sets=${sps.toString('base64')},${pps.toString('base64')}`
const aac = descriptions[4]?.[1]

const repairs: [name: string, lines: string[], descriptions: (RtpTrackDescription | undefined | string)[]][] = [
  [
    'no newline at the end, only LF between',
    ['v=0\ns=x\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 ' + sprop],
    [h264],
  ],
  [
    'doubled s=, broken c= and t=',
    ['v=0', 's=a', 's=b', 'c=IN', 't=now-', 'm=video 0 RTP/AVP 96', h264Map, `a=fmtp:96 ${sprop}`],
    [h264],
  ],
  [
    'fmtp under the wrong media',
    ['m=video 0 RTP/AVP 96', h264Map, 'm=audio 0 RTP/AVP 8', `a=fmtp:96 ${sprop}`],
    [h264, descriptions[7]?.[1]],
  ],
  ['fmtp above the first media', [`a=fmtp:96 ${sprop}`, 'm=video 0 RTP/AVP 96', h264Map], [h264]],
  [
    'start codes within sprop',
    ['m=video 0 RTP/AVP 96', h264Map, `a=fmtp:96 packetization-mode=1;sprop-parameter-sets=${annexB}`],
    [h264],
  ],
  [
    'sprop that is no base64',
    ['m=video 0 RTP/AVP 96', h264Map, 'a=fmtp:96 sprop-parameter-sets=%%%,,'],
    [{ ...h264, parameters: { codec: 'h264' } }],
  ],
  ['a second format that is known', ['m=video 0 RTP/AVP 26 96', 'a=rtpmap:26 JPEG/90000', h264Map, `a=fmtp:96 ${sprop}`], [h264]],
  [
    'medias that are not carried',
    [
      'm=application 0 RTP/AVP 107',
      'a=rtpmap:107 vnd.onvif.metadata/90000',
      'm=video 0 RTP/AVP 26',
      'm=audio 0 RTP/SAVP 8',
      'm=audio 9 UDP/DTLS/SCTP x',
    ],
    ['application VND.ONVIF.METADATA', 'video 26', 'audio 8', 'audio UDP/DTLS/SCTP'],
  ],
  ['a static payload type without rtpmap', ['m=audio 0 RTP/AVP 8'], [descriptions[7]?.[1]]],
  [
    'Opus with a wrong clock',
    ['m=audio 0 RTP/AVP 99', 'a=rtpmap:99 OPUS/16000'],
    [{ kind: 'audio', payloadType: 99, clockRateHz: 48_000, parameters: { codec: 'opus', channelCount: 2 } }],
  ],
  ['AAC without config', ['m=audio 0 RTP/AVP 98', 'a=rtpmap:98 mpeg4-generic/48000/2'], [aac]],
  [
    'AAC with a config that cannot be read',
    ['m=audio 0 RTP/AVP 98', 'a=rtpmap:98 mpeg4-generic/48000/2', 'a=fmtp:98 config=zz'],
    ['audio MPEG4-GENERIC'],
  ],
  [
    'AAC with a header that cannot be',
    ['m=audio 0 RTP/AVP 98', 'a=rtpmap:98 mpeg4-generic/48000/2', 'a=fmtp:98 config=1190;sizelength=99'],
    ['audio MPEG4-GENERIC'],
  ],
]

for (const [name, lines, expected] of repairs) {
  test(`a description with ${name} is understood`, () => {
    const found = describeSdpTracks(parseSdp(lines.join('\r\n')))
    assert.deepEqual(
      found.map((track) => (track.kind === 'usable' ? track.description : track.name)),
      expected,
    )
  })
}

const refused: [name: string, text: string, code: ErrorCode][] = [
  ['nothing', '', 'MALFORMED'],
  ['no media', 'v=0\r\ns=x\r\n', 'MALFORMED'],
  ['a media line without protocol', 'm=video 0', 'MALFORMED'],
  ['too many bytes', `v=0\r\na=${'x'.repeat(sdpLimits.bytes)}`, 'LIMIT_EXCEEDED'],
  ['too many lines', 'a=x\n'.repeat(sdpLimits.lines + 1), 'LIMIT_EXCEEDED'],
  ['too many medias', 'm=audio 0 RTP/AVP 8\n'.repeat(sdpLimits.medias + 1), 'LIMIT_EXCEEDED'],
  ['too many formats', `m=audio 0 RTP/AVP${' 8'.repeat(sdpLimits.formatsPerMedia + 1)}`, 'LIMIT_EXCEEDED'],
  ['too many parameters', `m=audio 0 RTP/AVP 8\na=fmtp:8 ${'a=b;'.repeat(sdpLimits.parametersPerFormat + 1)}`, 'LIMIT_EXCEEDED'],
]

for (const [name, text, code] of refused) {
  test(`a description with ${name} is refused`, () => {
    assert.throws(
      () => parseSdp(text),
      (error) => error instanceof AppError && error.code === code,
    )
  })
}

const texts = [
  ...repairs.map(([, lines]) => lines.join('\r\n')),
  ...descriptions.map(([, description]) => writeSdp({ name: 'x', medias: [{ description, control: 'a' }] })),
]
fuzzText('SDP', texts, (text) => {
  for (const track of describeSdpTracks(parseSdp(text))) {
    if (track.kind === 'usable')
      writeSdp({ name: track.name, medias: [{ description: track.description, control: track.control ?? '' }] })
  }
})
