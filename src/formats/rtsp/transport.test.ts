import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { parseTransports, writeTransport, type Transport } from './transport.ts'

const cases: [name: string, header: string, transports: Transport[]][] = [
  ['TCP', 'RTP/AVP/TCP;unicast;interleaved=0-1', [{ protocol: 'tcp', isMulticast: false, interleaved: [0, 1] }]],
  ['UDP', 'RTP/AVP;unicast;client_port=5000-5001', [{ protocol: 'udp', isMulticast: false, clientPorts: [5000, 5001] }]],
  [
    'UDP spelled out, mode in quotes',
    'RTP/AVP/UDP;unicast;client_port=5000-5001;mode="PLAY"',
    [{ protocol: 'udp', isMulticast: false, clientPorts: [5000, 5001], mode: 'play' }],
  ],
  [
    'one port stands for two',
    'RTP/AVP;unicast;client_port=5000',
    [{ protocol: 'udp', isMulticast: false, clientPorts: [5000, 5001] }],
  ],
  [
    'alternatives keep their order',
    'RTP/AVP;multicast,RTP/SAVP;unicast,RTP/AVP/TCP;unicast;mode="PLAY,RECORD"',
    [
      { protocol: 'udp', isMulticast: true },
      { protocol: 'tcp', isMulticast: false, mode: 'record' },
    ],
  ],
  [
    'an answer',
    'RTP/AVP/UDP;unicast;client_port=3056-3057;source=192.0.2.9;server_port=5000-5001;ssrc=00000afe',
    [
      {
        protocol: 'udp',
        isMulticast: false,
        clientPorts: [3056, 3057],
        serverPorts: [5000, 5001],
        source: '192.0.2.9',
        ssrc: 0xafe,
      },
    ],
  ],
  [
    'blanks and an unreadable ssrc',
    ' RTP/AVP/TCP ; unicast ; interleaved = 2 - 3 ; ssrc=  12345678901 ',
    [{ protocol: 'tcp', isMulticast: false, interleaved: [2, 3] }],
  ],
  [
    'mode of old FFmpeg',
    'RTP/AVP/TCP;unicast;interleaved=0-1;mode=receive',
    [{ protocol: 'tcp', isMulticast: false, interleaved: [0, 1], mode: 'record' }],
  ],
  ['nothing known', 'RAW/RAW/UDP;unicast', []],
]

for (const [name, header, transports] of cases) {
  test(`Transport header: ${name}`, () => {
    assert.deepEqual(parseTransports(header), transports)
    for (const transport of transports) assert.deepEqual(parseTransports(writeTransport(transport)), [transport])
  })
}

for (const header of [
  'RTP/AVP;client_port=a-b',
  'RTP/AVP;client_port=70000',
  'RTP/AVP/TCP;interleaved=256-257',
  'RTP/AVP,'.repeat(17),
]) {
  test(`Transport header "${header.slice(0, 40)}" is refused`, () => {
    assert.throws(() => parseTransports(header), AppError)
  })
}

fuzzText(
  'Transport header',
  cases.map(([, header]) => header),
  (text) => parseTransports(text).map(writeTransport),
)
