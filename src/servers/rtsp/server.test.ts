import assert from 'node:assert/strict'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { parseRtcp, writeReceiverReport } from '#formats/rtcp/rtcp-packet.ts'
import { packetAt } from '#formats/rtp/batch.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { interleavedFrame } from '#formats/rtsp/interleaved-frame.ts'
import { findHeader } from '#formats/rtsp/message.ts'
import { systemClock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import { RtspSource } from '#live/sources/rtsp/rtsp-source.ts'
import { audioTrack, videoTrack } from '../../../test/support/media.ts'
import { RtspTestClient } from '../../../test/support/rtsp-client.ts'
import {
  cameraTracks,
  feed,
  sdpOf,
  silentLog,
  startRtspServer,
  tcpTransport,
  unitAt,
  video,
} from '../../../test/support/rtsp-server.ts'
import { until } from '../../../test/support/until.ts'

/** Two seconds of video with audio between, as a camera sends it. */
function* media(): Generator<AccessUnit> {
  for (const unit of video({ frames: 50, gop: 25, sizeBytes: 4000 })) {
    yield unit
    yield unitAt((unit.dtsTicks / 90_000) * 1000, { track: audioTrack, sizeBytes: 300 })
  }
}

function packetizers(list: readonly Track[]): RtpPacketizer[] {
  return list.map(
    (track, index) =>
      new RtpPacketizer({
        track,
        payloadType: 96 + index,
        ssrc: index + 1,
        maxPayloadBytes: 1200,
        firstSequenceNumber: 65_530,
        timestampOffset: 2 ** 32 - 5000,
      }),
  )
}

/** Publishes over TCP and says how the RTSP answers went. */
async function publishOverTcp(port: number, name: string, list: readonly Track[] = cameraTracks) {
  const client = await RtspTestClient.connect(port, name)
  const statuses = [
    (await client.request('ANNOUNCE', { body: sdpOf(list), headers: { 'Content-Type': 'application/sdp' } })).status,
  ]
  for (const index of list.keys()) {
    statuses.push(
      (
        await client.request('SETUP', {
          url: `${client.url}/streamid=${index}`,
          headers: { Transport: `${tcpTransport(index)};mode=record` },
        })
      ).status,
    )
  }
  statuses.push((await client.request('RECORD', { headers: { Range: 'npt=0.000-' } })).status)
  const lanes = packetizers(list)
  return {
    client,
    statuses,
    send: (unit: AccessUnit): void => {
      const index = list.findIndex(({ id }) => id === unit.track.id)
      const batch = lanes[index]?.packetize(unit, index * 2)
      if (batch) client.send(batch.bytes)
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

async function udpSocket(port = 0): Promise<UdpSocket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1e6 })
  const listening = once(socket, 'listening')
  socket.bind(port, '127.0.0.1')
  await listening
  return socket
}

/** Reads into an array until disposed of. */
function read(port: number, path: string, transport: 'tcp' | 'udp') {
  const controller = new AbortController()
  const units: AccessUnit[] = []
  const found: { tracks?: readonly Track[]; error?: string } = {}
  const done = new RtspSource({
    url: `rtsp://127.0.0.1:${port}/${path}`,
    transport,
    silenceMs: 5000,
    signal: controller.signal,
    clock: systemClock,
    log: silentLog,
    onTracks: (list) => (found.tracks = list),
    onUnit: (unit) => units.push(unit),
    onLoss: () => {},
  })
    .run()
    .catch((error: unknown) => {
      found.error = toAppError(error).code
    })
  return {
    units,
    found,
    done,
    [Symbol.asyncDispose]: async () => {
      controller.abort()
      await done
    },
  }
}

function dataOf(units: readonly AccessUnit[], kind: Track['kind']): string[] {
  return units
    .filter(({ track }) => track.kind === kind)
    .map(({ data, isKeyframe }) => `${data.length} ${isKeyframe} ${data.toString('hex', 0, 8)}`)
}

for (const transport of ['tcp', 'udp'] as const) {
  test(`what is published over TCP is read over ${transport.toUpperCase()}, unit by unit`, async () => {
    await using rtsp = await startRtspServer()
    const { port } = rtsp.server
    await using publisher = await publishOverTcp(port, 'site/gate')
    assert.deepEqual(publisher.statuses, [200, 200, 200, 200])
    const units = [...media()]
    for (const unit of units) publisher.send(unit)
    await until(() => rtsp.hub.stream('site/gate').isOnline, { what: 'the stream to be online' })
    await using reader = read(port, 'site/gate', transport)
    await until(() => reader.units.length > 10, { what: 'the last group of pictures' })
    for (const unit of video({ fromMs: 2000, frames: 5, gop: 25, sizeBytes: 4000 })) publisher.send(unit)
    const lastGop = dataOf(units, 'video').slice(25)
    await until(() => dataOf(reader.units, 'video').length >= 27, { what: 'the pictures that follow' })
    assert.deepEqual(dataOf(reader.units, 'video').slice(0, 25), lastGop)
    assert.ok(dataOf(reader.units, 'audio').length > 20)
    assert.deepEqual(
      reader.found.tracks?.map(({ parameters }) => parameters.codec),
      ['h264', 'aac'],
    )
    assert.equal(rtsp.server.stats.readers, 1)
    assert.equal(rtsp.server.stats.publishers, 1)
  })
}

test('a publisher over UDP is told apart by its ports, and strangers are counted', async () => {
  await using rtsp = await startRtspServer()
  await using client = await RtspTestClient.connect(rtsp.server.port, 'gate')
  await client.request('ANNOUNCE', { body: sdpOf([videoTrack]) })
  const socket = await udpSocket()
  const stranger = await udpSocket()
  const { port } = socket.address()
  const response = await client.request('SETUP', {
    url: `${client.url}/streamid=0/`,
    headers: { Transport: `RTP/AVP/UDP;unicast;client_port=${port}-${port + 1};mode=record` },
  })
  assert.match(
    findHeader(response.headers, 'transport') ?? '',
    new RegExp(`server_port=${rtsp.server.rtpPort}-${rtsp.server.rtpPort + 1}`),
  )
  assert.equal((await client.request('RECORD')).status, 200)
  const [packetizer] = packetizers([videoTrack])
  for (const unit of video({ frames: 10 })) {
    const batch = packetizer?.packetize(unit)
    for (const index of batch?.offsets.keys() ?? [])
      if (batch) socket.send(packetAt(batch, index), rtsp.server.rtpPort, '127.0.0.1')
  }
  stranger.send('hello', rtsp.server.rtpPort, '127.0.0.1')
  await until(() => rtsp.hub.stream('gate').isOnline && rtsp.server.stats.strayDatagrams === 1, { what: 'packets over UDP' })
  // The client's ports are its own: nobody else from the same address gets them.
  await using other = await RtspTestClient.connect(rtsp.server.port, 'gate')
  const taken = await other.request('SETUP', { headers: { Transport: `RTP/AVP;unicast;client_port=${port}-${port + 1}` } })
  assert.equal(taken.status, 461)
  assert.match(findHeader(taken.headers, 'millrace-error') ?? '', /^RTSP_TRANSPORT_UNSUPPORTED: ports/)
  socket.close()
  stranger.close()
})

async function play(port: number, path: string, trackTransports: readonly string[]): Promise<RtspTestClient> {
  const client = await RtspTestClient.connect(port, path)
  for (const transport of trackTransports)
    assert.equal((await client.request('SETUP', { headers: { Transport: transport } })).status, 200)
  assert.equal((await client.request('PLAY')).status, 200)
  return client
}

test('an access unit is sent with the same bytes to every reader, whatever its channel', async () => {
  await using rtsp = await startRtspServer()
  const publication = feed(rtsp.hub, 'gate')
  const units = [...media()]
  for (const unit of units.slice(0, 60)) publication.write(unit)
  await using usual = await play(rtsp.server.port, 'gate', [tcpTransport(0), tcpTransport(1)])
  await using other = await play(rtsp.server.port, 'gate', [
    'RTP/AVP/TCP;unicast;interleaved=8-9',
    'RTP/AVP/TCP;unicast;interleaved=2-3',
  ])
  for (const unit of units.slice(60)) publication.write(unit)
  const packetsOn = (client: RtspTestClient, channel: number) =>
    client.frames.filter((frame) => frame.channel === channel).map(({ payload }) => payload.toString('hex'))
  await until(() => packetsOn(usual, 2).length === 25 && packetsOn(other, 2).length === 25, { what: 'all audio packets' })
  assert.ok(packetsOn(usual, 0).length > 25 * 3)
  assert.deepEqual(packetsOn(usual, 0), packetsOn(other, 8))
  assert.deepEqual(packetsOn(usual, 2), packetsOn(other, 2))
  // The first report comes with the first packet, for the same moment, so that players line up the tracks at once.
  const [report] = parseRtcp(usual.frames.find(({ channel }) => channel === 1)?.payload ?? Buffer.alloc(0))
  const firstPacket = usual.frames.find(({ channel }) => channel === 0)?.payload
  assert.ok(report?.kind === 'sender-report')
  assert.equal(report.rtpTimestamp, firstPacket?.readUInt32BE(4))
})

test('what a reader reports as lost is counted once, and unreadable reports do no harm', async () => {
  await using rtsp = await startRtspServer()
  feed(rtsp.hub, 'gate', [videoTrack]).write(unitAt(0, { isKeyframe: true }))
  await using client = await play(rtsp.server.port, 'gate', [tcpTransport(0)])
  const first = await until(() => client.frames.find(({ channel }) => channel === 0), { what: 'a packet' })
  const ssrc = first.payload.readUInt32BE(8)
  const block = { fractionLost: 0, highestSequence: 0, jitterTicks: 0, lastSenderReport: 0, delaySinceLastSenderReport: 0 }
  for (const [about, cumulativeLost] of [
    [ssrc, 3],
    [ssrc, 5],
    [ssrc, 5],
    [ssrc, -1],
    [(ssrc + 1) % 2 ** 32, 9],
  ] as const) {
    const reports = [{ ...block, ssrc: about, cumulativeLost }]
    client.send(interleavedFrame(1, writeReceiverReport({ ssrc: 1, cname: 'test', reports })))
  }
  client.send(interleavedFrame(1, Buffer.from('no report')))
  assert.equal((await client.request('GET_PARAMETER')).status, 200)
  assert.equal(rtsp.server.stats.reportedLostPackets, 5)
  assert.equal(rtsp.server.stats.readers, 1)
})

test('a description has the current parameter sets and a base URL without query', async () => {
  await using rtsp = await startRtspServer()
  feed(rtsp.hub, 'site/gate').write(unitAt(0, { isKeyframe: true }))
  await using client = await RtspTestClient.connect(rtsp.server.port, 'site/gate/?token=x')
  const response = await client.request('DESCRIBE')
  assert.equal(findHeader(response.headers, 'content-base'), `rtsp://127.0.0.1:${rtsp.server.port}/site/gate/`)
  const body = response.body.toString()
  assert.match(body, /sprop-parameter-sets=Z2QADazZQUGfnwEQAAADABAAAAMDIPFCmWA=,aOvjyyLA/)
  assert.match(body, /a=control:trackID=\d/)
})

test('PAUSE stops the packets and PLAY begins again with a keyframe', async () => {
  await using rtsp = await startRtspServer()
  const publication = feed(rtsp.hub, 'gate', [videoTrack])
  const units = [...video({ frames: 60, gop: 25 })]
  for (const unit of units.slice(0, 30)) publication.write(unit)
  await using client = await play(rtsp.server.port, 'gate', [tcpTransport(0)])
  await until(() => client.frames.length > 5, { what: 'packets' })
  assert.equal((await client.request('PAUSE')).status, 200)
  const before = client.frames.length
  for (const unit of units.slice(30)) publication.write(unit)
  assert.equal((await client.request('GET_PARAMETER')).status, 200)
  assert.equal(client.frames.length, before)
  assert.equal((await client.request('PLAY')).status, 200)
  await until(() => client.frames.length > before, { what: 'packets after PLAY' })
  assert.equal((await client.request('TEARDOWN')).status, 200)
  assert.equal(rtsp.hub.stream('gate').readers.size, 0)
})

test('sessions whose track vanished end with BYE, the others go on', async () => {
  await using rtsp = await startRtspServer()
  const publication = feed(rtsp.hub, 'gate')
  for (const unit of media()) publication.write(unit)
  const [videoId, audioId] = rtsp.hub.stream('gate').tracks.map(({ id }) => id)
  await using both = await play(rtsp.server.port, 'gate', [tcpTransport(0), tcpTransport(1)])
  await using videoOnly = await play(rtsp.server.port, `gate/trackID=${videoId}`, [tcpTransport(0)])
  assert.notEqual(audioId, undefined)
  publication.close('gone')
  const next = feed(rtsp.hub, 'gate', [videoTrack])
  for (const unit of video({ frames: 5 })) next.write(unit)
  await until(() => both.isClosed, { what: 'the session with audio to end' })
  const types = both.frames
    .filter(({ channel }) => channel % 2 === 1)
    .flatMap(({ payload }) => parseRtcp(payload).map(({ kind }) => kind))
  assert.equal(types.filter((kind) => kind === 'bye').length, 2)
  const before = videoOnly.frames.length
  for (const unit of video({ fromMs: 1000, frames: 5 })) next.write(unit)
  await until(() => videoOnly.frames.length > before, { what: 'pictures of the new source' })
  assert.equal(rtsp.server.stats.readers, 1)
})

test('the end of a stream ends its readers with BYE', async () => {
  await using rtsp = await startRtspServer()
  feed(rtsp.hub, 'gate').write(unitAt(0, { isKeyframe: true }))
  await using reader = read(rtsp.server.port, 'gate', 'tcp')
  await until(() => rtsp.server.stats.readers === 1, { what: 'the reader' })
  rtsp.hub.stream('gate').end('stopped')
  await reader.done
  assert.equal(reader.found.error, undefined)
})

test('a reader that takes no bytes is disconnected and the others lose nothing', async () => {
  await using rtsp = await startRtspServer({ settings: { stalledReaderSeconds: 0.3 } })
  const publication = feed(rtsp.hub, 'gate', [videoTrack])
  publication.write(unitAt(0, { isKeyframe: true }))
  await using slow = await play(rtsp.server.port, 'gate', [tcpTransport(0)])
  await using reader = read(rtsp.server.port, 'gate', 'tcp')
  await until(() => rtsp.server.stats.readers === 2, { what: 'both readers' })
  slow.stopReading()
  let sent = 1
  await until(
    () => {
      publication.write(unitAt(sent++ * 40, { sizeBytes: 200_000, isKeyframe: sent % 25 === 0 }))
      return rtsp.server.stats.readers === 1
    },
    { what: 'the slow reader to go' },
  )
  await until(() => reader.units.length >= sent - 1, { what: 'all units at the good reader' })
  slow.disconnect()
})

test('a publisher without media is disconnected, keepalives or not', async () => {
  await using rtsp = await startRtspServer({ settings: { publisherSilenceSeconds: 0.4 } })
  await using publisher = await publishOverTcp(rtsp.server.port, 'gate', [videoTrack])
  for (const unit of video({ frames: 5 })) publisher.send(unit)
  await until(() => rtsp.hub.stream('gate').isOnline, { what: 'the stream' })
  await until(
    () => {
      if (!publisher.client.isClosed) publisher.client.send('OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n')
      return publisher.client.isClosed
    },
    { what: 'the publisher to be disconnected' },
  )
  assert.equal(rtsp.hub.stream('gate').isOnline, false)
})

test('a session over UDP outlives its connection, and ends when the client is silent', async () => {
  await using rtsp = await startRtspServer({ settings: { sessionTimeoutSeconds: 1 } })
  feed(rtsp.hub, 'gate').write(unitAt(0, { isKeyframe: true }))
  const socket = await udpSocket()
  const { port } = socket.address()
  const client = await play(rtsp.server.port, 'gate', [`RTP/AVP;unicast;client_port=${port}-${port + 1}`])
  client.disconnect()
  await until(() => rtsp.server.stats.connections === 0, { what: 'the connection to be gone' })
  assert.equal(rtsp.server.stats.readers, 1)
  await until(() => rtsp.server.stats.readers === 0, { what: 'the session to end' })
  socket.close()
})

test('a stream that is taken away ends its publisher', async () => {
  await using rtsp = await startRtspServer()
  await using publisher = await publishOverTcp(rtsp.server.port, 'gate', [videoTrack])
  rtsp.hub.stream('gate').end('removed')
  await until(() => publisher.client.isClosed, { what: 'the publisher to be disconnected' })
})

test('a server that stops says good-bye, and may be stopped twice', async () => {
  const rtsp = await startRtspServer()
  feed(rtsp.hub, 'gate').write(unitAt(0, { isKeyframe: true }))
  await using client = await play(rtsp.server.port, 'gate', [tcpTransport(0)])
  await rtsp[Symbol.asyncDispose]()
  await rtsp[Symbol.asyncDispose]()
  await until(() => client.isClosed, { what: 'the connection to be closed' })
  const last = client.frames.at(-1)
  assert.ok(parseRtcp(last?.payload ?? Buffer.alloc(0)).some(({ kind }) => kind === 'bye'))
})
