import assert from 'node:assert/strict'
import { link, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { followEvents } from '../support/event-socket.ts'
import { assertGrowing } from '../support/growing.ts'
import { publishTestStream } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const before = `
[streams.steady]
[streams.changing]
recording.segmentSeconds = 60
[streams.leaving]
`
const after = `
[streams.steady]
[streams.changing]
sources = ["publish", "rtsp://127.0.0.1:9/nobody"]
recording.segmentSeconds = 60
[streams.arriving]
`

for (const cause of ['signal', 'file-change'] as const) {
  test(`a reload by ${cause} adds, changes and removes streams, and costs the others nothing`, async (t) => {
    await using millrace = await startMillrace({ config: before })
    showOutputOnFailure(t, millrace)
    const api = new TestApi(millrace)
    const material = await makeMaterial(millrace, { video: 'h264', gopFrames: 12, seconds: 1 })
    await using steady = await Link.open(millrace, 'steady', material)
    await using changing = await Link.open(millrace, 'changing', material)
    await using leaving = await Link.open(millrace, 'leaving', material)
    await using undeclared = await Link.open(millrace, 'made-by-publisher', material)

    const summary = await reload(millrace, { config: after, cause })
    assert.deepEqual([summary.restarted, summary.needsRestart], [[], []])
    assert.deepEqual(summary.changed?.toSorted(), ['streams', 'streams.arriving', 'streams.changing', 'streams.leaving'])

    await until(() => leaving.isClosed, { what: 'the removed stream to lose its connections' })
    await until(() => changing.publisher.client.isClosed, { what: 'the changed stream to lose its publisher' })
    assert.equal((await api.untilState('arriving', 'connecting')).origin, 'file')
    await assert.rejects(api.stream('leaving'), /404 .*STREAM_NOT_FOUND/)
    assert.equal((await api.stream('changing')).spec.sources.length, 2)
    assert.equal(changing.reader.client.isClosed, false, 'its readers stay')
    await steady.checkWhole()
    await undeclared.checkWhole()
  })
}

test('a file with a mistake is refused and changes nothing', async (t) => {
  await using millrace = await startMillrace({ config: before })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', gopFrames: 12, seconds: 1 })
  await using steady = await Link.open(millrace, 'steady', material)
  for (const mistake of [
    '[streams.leaving]\nsource = "publish"\n',
    '[streams\n',
    '[live]\nsegmentCount = 2\n',
    '[api]\nhost = "0.0.0.0"\n',
  ]) {
    const refused = await reload(millrace, { config: `${before.replace('[streams.leaving]', '')}${mistake}`, cause: 'signal' })
    assert.match(refused.code ?? '', /^(CONFIG_INVALID|LISTEN_REFUSED)$/)
    assert.ok((refused.error ?? '').length > 20, refused.error)
  }
  assert.equal((await api.stream('leaving')).isEnabled, true)
  await steady.checkWhole()
  const accepted = await reload(millrace, { config: after, cause: 'signal' })
  assert.ok(accepted.changed?.includes('streams.arriving'), 'a good file is taken on again')
  await steady.checkWhole()
})

test('a change of where a part listens restarts that part only', async (t) => {
  const ports = { MILLRACE_RTSP_PORT: undefined, MILLRACE_METRICS_PORT: undefined }
  const configOf = (rtsp: string, metrics: string) => `${before}[rtsp]\nport = 0\n${rtsp}\n[metrics]\nport = 0\n${metrics}\n`
  await using millrace = await startMillrace({ config: configOf('', ''), env: ports })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', gopFrames: 12, seconds: 1 })
  await using steady = await Link.open(millrace, 'steady', material)
  await using events = await followEvents(millrace, { from: 0 })
  const readyBefore = await readyParts(api)

  const metrics = await reload(millrace, { config: configOf('', 'host = "::1"'), cause: 'signal' })
  assert.deepEqual([metrics.changed, metrics.restarted], [['metrics'], ['metrics']])
  await assert.rejects(fetch(millrace.metricsUrl))
  const { port: metricsPort } = lastLine(millrace, 'metrics server listens')
  assert.equal((await fetch(`http://[::1]:${metricsPort}/metrics`)).status, 200)
  await steady.checkWhole()

  const rtsp = await reload(millrace, { config: configOf('host = "127.0.0.2"', 'host = "::1"'), cause: 'signal' })
  assert.deepEqual([rtsp.changed, rtsp.restarted], [['rtsp'], ['rtsp']])
  await until(() => steady.isClosed, { what: 'the connections of the old RTSP server to end' })
  await api.untilState('steady', 'offline')
  const { port } = lastLine(millrace, 'rtsp server listens')
  assert.equal(new URL((await api.stream('steady')).urls.rtsp ?? '').port, String(port), 'the API tells where it is now')
  await using publisher = await publishTestStream({ url: `rtsp://127.0.0.2:${port}/steady`, video: 'h264' })
  await api.untilState('steady', 'online')
  await publisher.stop()
  await until(() => events.events.some(({ type }) => type === 'stream.recovered'), { what: 'the WebSocket to live on' })
  assert.deepEqual(await readyParts(api), readyBefore)

  const taken = await reload(millrace, {
    config: configOf(`host = "::1"`, `host = "127.0.0.2"`).replace('port = 0', `port = ${metricsPort}`),
    cause: 'signal',
  })
  assert.equal(taken.code, 'LISTEN_FAILED')
  const back = lastLine(millrace, 'rtsp server listens')
  assert.equal(back.host, '127.0.0.2', 'the old settings are in force again')
  await using _again = await publishTestStream({ url: `rtsp://127.0.0.2:${back.port}/steady`, video: 'h264' })
  await api.untilState('steady', 'online')
  assert.equal((await fetch(`http://[::1]:${lastLine(millrace, 'metrics server listens').port}/metrics`)).status, 200)
})

async function readyParts(api: TestApi): Promise<string[]> {
  return (await api.status()).parts.map(({ name, isReady }) => `${name} ${isReady}`).toSorted()
}

type Line = {
  msg: string
  cause?: string
  code?: string
  error?: string
  host?: string
  port?: number
  changed?: string[]
  restarted?: string[]
  needsRestart?: string[]
}

/** Changes the file, has it read, and gives the line that the log has of it. */
async function reload(millrace: Millrace, { config, cause }: { config: string; cause: 'signal' | 'file-change' }): Promise<Line> {
  const reloads = () => linesOf(millrace, /^configuration (reloaded|refused)/)
  const seen = reloads().length
  if (cause === 'signal') {
    await writeUnseen(millrace, config)
    millrace.process.kill('SIGHUP')
  } else await replaceFile(millrace, config)
  const line = await until(() => reloads()[seen], { what: 'a line about the reload' })
  assert.equal(line.cause, cause)
  return line
}

/** As editors do: a new file takes the name of the old one. */
async function replaceFile({ directory }: Millrace, config: string): Promise<void> {
  await writeFile(join(directory, 'millrace.toml.new'), config)
  await rename(join(directory, 'millrace.toml.new'), join(directory, 'millrace.toml'))
}

/** Writes through another name of the file in another directory: whoever watches the first one is not told. */
async function writeUnseen({ directory }: Millrace, config: string): Promise<void> {
  const other = join(directory, 'data', 'linked.toml')
  await link(join(directory, 'millrace.toml'), other)
  await writeFile(other, config)
  await unlink(other)
}

function linesOf(millrace: Millrace, message: RegExp): Line[] {
  const lines = millrace
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
  return lines.map((line): Line => JSON.parse(line)).filter(({ msg }) => message.test(msg))
}

function lastLine(millrace: Millrace, message: string): Line {
  const line = linesOf(millrace, new RegExp(`^${message}$`)).at(-1)
  assert.ok(line, `no line "${message}"`)
  return line
}

/** A publisher of a stream, and a reader that must get all of it. */
class Link implements AsyncDisposable {
  readonly publisher: UnitPublisher
  readonly reader: UnitReader

  private constructor(publisher: UnitPublisher, reader: UnitReader) {
    this.publisher = publisher
    this.reader = reader
  }

  static async open(millrace: Millrace, stream: string, material: Awaited<ReturnType<typeof makeMaterial>>): Promise<Link> {
    const [first] = material
    assert.ok(first)
    const publisher = await UnitPublisher.open(millrace, stream, first.track)
    publisher.send({ ...first, ptsTicks: 0 })
    await new TestApi(millrace).untilState(stream, 'online')
    const reader = await UnitReader.play(millrace, stream)
    publisher.loop(material, { from: 1 })
    return new Link(publisher, reader)
  }

  get isClosed(): boolean {
    return this.publisher.client.isClosed && this.reader.client.isClosed
  }

  /** The reader has every unit that was sent by now. */
  async checkWhole(): Promise<void> {
    const { sentUnits } = this.publisher
    await until(() => this.reader.units.length >= sentUnits + 25, { what: 'the reader to go on' })
    assert.equal(this.reader.damagedUnits, 0)
    const { units } = this.reader
    assert.equal(units.filter(({ isAfterGap }) => isAfterGap).length, 0)
    assertGrowing(
      units.map(({ ticks }) => ticks),
      'RTP timestamps',
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.publisher[Symbol.asyncDispose]()
    await this.reader[Symbol.asyncDispose]()
  }
}
