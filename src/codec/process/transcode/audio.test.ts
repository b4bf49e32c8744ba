import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AudioEncoder, AudioOrder } from '#codec/transcoding.ts'
import { makeFile } from '../../../../test/support/peers/make-file.ts'
import { makeMp4, makeShortAudio, makeSilentMp4, makeSurround, makeWebm } from '../../../../test/support/job-files.ts'
import { encodeAudio } from './audio.ts'
import { decodeSamples, loadChunk, startWorkshop, testRun } from './transcode.fixture.ts'

type Workshop = Awaited<ReturnType<typeof startWorkshop>>

const aac: AudioEncoder = { codec: 'aac', bitsPerSecond: 96_000, channels: 2, sampleRate: 48_000, normalize: false }
const opus: AudioEncoder = { ...aac, codec: 'opus' }

async function encode(workshop: Workshop, path: string, more: Partial<AudioOrder> = {}) {
  const order = { sourceUrl: workshop.urlOf(path), track: 0, startMs: 0, durationMs: 4000, audio: aac, ...more }
  const outputPath = workshop.outputPath('sound.chunk')
  const facts = await encodeAudio({ ...order, outputPath }, testRun())
  const chunk = await loadChunk(outputPath)
  assert.ok(chunk.stream.kind === 'audio')
  assert.equal(facts.sha256, chunk.end?.sha256)
  const [first] = chunk.packets
  assert.ok(first)
  return {
    facts,
    ...chunk,
    stream: chunk.stream,
    firstPts: first.pts,
    ticks: chunk.packets.reduce((sum, { durationTicks }) => sum + durationTicks, 0),
  }
}

/** Loudness of each tenth of a second from the clip's start. */
function tenths(encoded: Awaited<ReturnType<typeof encode>>): number[] {
  const samples = decodeSamples(encoded)
  const size = encoded.stream.sampleRate / 10
  return Array.from({ length: Math.floor(samples.length / size) }, (_, index) =>
    Math.max(...samples.slice(index * size, (index + 1) * size).map(Math.abs)),
  )
}

const loudTenths = (values: readonly number[]) => values.flatMap((value, index) => (value > 0.1 ? [index] : []))

for (const audio of [aac, opus, { ...aac, sampleRate: 44_100 as const }, { ...aac, channels: 1 as const }]) {
  test(`${audio.codec} of ${audio.sampleRate} Hz and ${audio.channels} channels is as long as ordered and begins with the clip`, async () => {
    await using workshop = await startWorkshop()
    const encoded = await encode(workshop, await makeMp4(workshop.path), { audio })
    const { stream, firstPts, packets, facts } = encoded
    assert.deepEqual(
      [stream.codec, stream.sampleRate, stream.channels, stream.timeBase.den],
      [audio.codec, audio.sampleRate, audio.channels, audio.sampleRate],
    )
    assert.equal(firstPts, -stream.initialPadding)
    assert.equal(facts.durationMs, 4000)
    for (const [index, { pts }] of packets.entries()) assert.equal(pts, firstPts + index * stream.frameSize)
    const last = packets.at(-1)
    assert.equal((last?.pts ?? 0) + (last?.durationTicks ?? 0), 4 * audio.sampleRate)
    assert.deepEqual(loudTenths(tenths(encoded)).slice(0, 4), [0, 10, 20, 30])
  })
}

test('there is silence before, after and instead of sound', async () => {
  await using workshop = await startWorkshop()
  const late = await encode(workshop, await makeShortAudio(workshop.path))
  assert.ok(late.ticks >= 4 * 48_000)
  // A lossy beep begins a little before itself.
  assert.deepEqual(
    loudTenths(tenths(late)).filter((tenth) => tenth % 10 !== 9),
    [10, 20],
  )
  const behind = await encode(workshop, await makeMp4(workshop.path), { startMs: 60_000, durationMs: 1000 })
  assert.ok(behind.ticks >= 48_000)
  assert.deepEqual(loudTenths(tenths(behind)), [])
})

test('a hole in the sound becomes silence of its length', async () => {
  await using workshop = await startWorkshop()
  const filters =
    "aevalsrc=exprs='0.5*sin(2*PI*1000*t)':sample_rate=48000:duration=3,aselect=not(between(t\\,1\\,2)),asetnsamples=n=1024:p=0"
  const path = await makeFile({
    path: workshop.outputPath('hole.mka'),
    format: 'matroska',
    tracks: [{ kind: 'audio', filters: `${filters},aformat=sample_fmts=s16`, encoder: 'pcm_s16le' }],
  })
  const encoded = await encode(workshop, path, { durationMs: 3000 })
  const loud = loudTenths(tenths(encoded))
  assert.ok(loud.includes(5) && !loud.includes(15) && loud.includes(25), String(loud))
})

test('a clip takes its part of the sound', async () => {
  await using workshop = await startWorkshop()
  for (const path of [await makeMp4(workshop.path), await makeWebm(workshop.path)]) {
    const encoded = await encode(workshop, path, { startMs: 1500, durationMs: 2000 })
    assert.deepEqual(loudTenths(tenths(encoded)).slice(0, 2), [5, 15], path)
  }
})

test('six channels stay six or become two, and each track can be had', async () => {
  await using workshop = await startWorkshop()
  const source = await makeSurround(workshop.path)
  for (const channels of [6, 2] as const) {
    for (const audio of [aac, opus]) {
      const { stream } = await encode(workshop, source, { audio: { ...audio, channels } })
      assert.equal(stream.channels, channels)
    }
  }
  assert.equal((await encode(workshop, source, { track: 1 })).stream.channels, 2)
  await assert.rejects(encode(workshop, source, { track: 2 }), { code: 'UNSUPPORTED', message: /no audio track 2/ })
  await assert.rejects(encode(workshop, await makeSilentMp4(workshop.path)), { code: 'UNSUPPORTED' })
})

test('sound is brought to −23 LUFS, the second pass by what the first has measured', async () => {
  await using workshop = await startWorkshop()
  const quiet = async (volume: number) =>
    makeFile({
      path: workshop.outputPath(`quiet-${volume}.wav`),
      format: 'wav',
      tracks: [
        {
          kind: 'audio',
          filters: `aevalsrc=exprs='${volume}*sin(2*PI*1000*t)|${volume}*sin(2*PI*1000*t)':sample_rate=48000:duration=4,aformat=sample_fmts=s16`,
          encoder: 'pcm_s16le',
        },
      ],
    })
  const audio = { ...aac, normalize: true }
  // A stereo sine of 1 kHz at −23 dBFS is −23 LUFS loud.
  const expected = 10 ** (-23 / 20)
  for (const volume of [0.01, 0.8]) {
    const middle = tenths(await encode(workshop, await quiet(volume), { audio })).slice(10, 30)
    for (const peak of middle) assert.ok(Math.abs(peak / expected - 1) < 0.1, `${volume} became ${peak} instead of ${expected}`)
  }
  const silent = await encode(workshop, await quiet(0), { audio })
  assert.deepEqual(loudTenths(tenths(silent)), [])
})

test('Opus at 44.1 kHz is refused', async () => {
  const order = { sourceUrl: 'http://127.0.0.1:1/', track: 0, startMs: 0, durationMs: 1000, outputPath: '/dev/null' }
  await assert.rejects(encodeAudio({ ...order, audio: { ...opus, sampleRate: 44_100 } }, testRun()), { code: 'UNSUPPORTED' })
})
