import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite, test } from 'node:test'
import { until } from '../until.ts'
import { audioVideoSkewMs, onlyTrack, playStream, type Player } from './play-stream.ts'
import { publishTestStream, type TestStream, type TestStreamOptions } from './publish-test-stream.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  assert.ok(address && typeof address === 'object')
  return address.port
}

/** Publisher and player connected to each other, the player being the server. */
async function connect(options: Omit<TestStreamOptions, 'url'>): Promise<{ player: Player; stream: TestStream }> {
  const url = `rtsp://127.0.0.1:${await freePort()}/test`
  const player = playStream({ url, format: 'rtsp', isListening: true, decode: true })
  // The listener takes a moment, and takes one connection only: a try is the only way to find out.
  const stream = await until(() => publishTestStream({ url, ...options }).catch(() => undefined), {
    what: 'the player to listen',
  })
  return { player, stream }
}

suite('libav as publisher and player', { concurrency: 2 }, () => {
  test('all frames arrive, and flashes and beeps together', async () => {
    const { player, stream } = await connect({ video: 'h264', audio: 'opus', seconds: 2.5 })
    await using _player = player
    await using _stream = stream
    const [sentVideo, sentAudio] = await stream.finished
    const result = await player.result
    assert.equal(sentVideo?.packets, 63)
    assert.equal(sentVideo.keyframes, 3)
    const video = onlyTrack(result, 'video')
    assert.partialDeepStrictEqual(video, {
      codec: 'h264',
      packets: 63,
      keyframes: 3,
      frames: 63,
      decodeErrors: 0,
      sizes: ['320x180'],
    })
    assert.equal(onlyTrack(result, 'audio').packets, sentAudio?.packets)
    assert.equal(result.flashSeconds.length, 3)
    assert.equal(result.beepSeconds.length, 3)
    assert.ok(Math.abs(audioVideoSkewMs(result)) < 5)
  })

  test('B-frames arrive in decoding order', async () => {
    const { player, stream } = await connect({ video: 'h264-bframes', seconds: 1 })
    await using _player = player
    await using _stream = stream
    await stream.finished
    const { ptsSeconds, frames } = onlyTrack(await player.result, 'video')
    assert.equal(frames, 25)
    assert.notDeepEqual(
      ptsSeconds,
      ptsSeconds.toSorted((a, b) => a - b),
    )
  })

  test('the picture changes its size in mid-stream', async () => {
    const resize = { width: 480, height: 270, atSecond: 1 }
    const { player, stream } = await connect({ video: 'h264', parameterSets: 'both', seconds: 2, resize })
    await using _player = player
    await using _stream = stream
    assert.deepEqual(onlyTrack(await player.result, 'video').sizes, ['320x180', '480x270'])
  })

  test('a publisher stops when told to, and a player too', async () => {
    const { player, stream } = await connect({ audio: 'pcma' })
    await using _player = player
    await using _stream = stream
    await player.started
    const result = await player.stop()
    assert.equal(result.end, 'stopped')
    const [sent] = await stream.stop().catch(() => [])
    assert.ok(sent === undefined || sent.packets >= onlyTrack(result, 'audio').packets)
  })

  test('a server that is not there is an error', async () => {
    const url = `rtsp://127.0.0.1:${await freePort()}/test`
    await assert.rejects(publishTestStream({ url, video: 'h264' }), /Connection refused/)
    await using player = playStream({ url, format: 'rtsp' })
    await assert.rejects(player.result, /Connection refused/)
    await assert.rejects(player.started, /Connection refused/)
  })
})
