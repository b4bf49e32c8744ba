import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { apis } from '#formats/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '#formats/kafka/frame.ts'
import { ensureProgram } from '../../test/support/ensure-program.ts'
import { startMillrace } from '../../test/support/program.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { topic } from './log-kafka.ts'
import { natsHello, NatsMessages, streamOf } from './log-nats.ts'
import { laneCount } from './log-wire.ts'

const run = promisify(execFile)

/** A server with empty lanes, in a process and a directory of its own. */
export interface LogServer extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  readonly directory: string
  /** Ends it in good order and starts it again on the same data; the kernel remembers none of its files. */
  restart(): Promise<void>
}

/** The whole program with its default settings. */
export type MillraceLog = LogServer & { readonly httpPort: number; readonly grpcPort: number }

export async function startMillraceLog(): Promise<MillraceLog> {
  const millrace = await startMillrace()
  const port = portOf(millrace.kafkaAddress)
  await createTopic(port)
  return {
    port,
    directory: millrace.directory,
    httpPort: portOf(millrace.url),
    grpcPort: portOf(millrace.grpcAddress),
    get pid() {
      return millrace.process.pid ?? 0
    },
    async restart() {
      await millrace.kill('SIGTERM')
      await forget(millrace.directory)
      await millrace.start()
    },
    [Symbol.asyncDispose]: () => millrace[Symbol.asyncDispose](),
  }
}

function portOf(address: string): number {
  return Number(/:(\d+)\/?$/.exec(address)?.[1])
}

/**
 * JetStream with file storage, a stream a lane. 2.9 has no setting to sync before it acknowledges (`sync_interval` came with 2.10): `isSynced` has the kernel do
 * it, by the attribute `S` of the directory (chattr(1)), which makes every write to a file in it durable before the write returns.
 */
export async function startNats({ isSynced }: { isSynced: boolean }): Promise<LogServer> {
  const command = await ensureProgram({ command: 'nats-server', debianPackage: 'nats-server' })
  const server = await Peer.start(async ({ port, directory }) => {
    const storage = join(directory, 'store')
    await mkdir(storage, { recursive: true })
    if (isSynced) await run('chattr', ['+S', storage])
    const config = join(directory, 'nats.conf')
    await writeFile(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${storage}", max_file_store: 64G }\n`)
    return spawn(command, ['-c', config], { stdio: 'ignore' })
  })
  for (let lane = 0; lane < laneCount; lane++) await createStream(server.port, streamOf(lane))
  return server
}

/** Streams with the append-only file, synced each second (the default) or before each answer. No snapshots. */
export async function startRedis({ isSynced }: { isSynced: boolean }): Promise<LogServer> {
  const command = await ensureProgram({ command: 'redis-server', debianPackage: 'redis-server' })
  return await Peer.start(async ({ port, directory }) => {
    const appendOnly = ['--appendonly', 'yes', '--appendfsync', isSynced ? 'always' : 'everysec', '--save', '']
    const place = ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory]
    return spawn(command, [...place, ...appendOnly], { stdio: 'ignore' })
  })
}

type Launch = (place: { port: number; directory: string }) => Promise<ChildProcess>
type Place = { readonly port: number; readonly directory: string; readonly temporary: AsyncDisposable; readonly launch: Launch }

/** A peer as a child process. */
class Peer implements LogServer {
  readonly port: number
  readonly directory: string
  readonly #place: Place
  #process: ChildProcess

  private constructor(place: Place, process: ChildProcess) {
    this.port = place.port
    this.directory = place.directory
    this.#place = place
    this.#process = process
  }

  static async start(launch: Launch): Promise<Peer> {
    const temporary = await temporaryDirectory()
    const place = { port: await freePort(), directory: temporary.path, temporary, launch }
    const peer = new Peer(place, await launch(place))
    await peer.#ready()
    return peer
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async restart(): Promise<void> {
    await this.#end()
    await forget(this.directory)
    this.#process = await this.#place.launch(this.#place)
    await this.#ready()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    await this.#place.temporary[Symbol.asyncDispose]()
  }

  async #ready(): Promise<void> {
    process.once('exit', this.#kill)
    await until(() => isAnswering(this.port), { what: `a server on port ${this.port}`, timeoutMs: 120_000 })
  }

  async #end(): Promise<void> {
    const closed = once(this.#process, 'close')
    this.#process.kill('SIGTERM')
    await closed
    process.off('exit', this.#kill)
  }

  readonly #kill = (): void => void this.#process.kill('SIGKILL')
}

/** Whether a greeting is answered: Redis listens before it has loaded its data, and says `-LOADING` until then. NATS greets first. */
async function isAnswering(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [bytes] = await Promise.race([once(socket, 'data'), once(socket, 'close')])
    return Buffer.isBuffer(bytes) && bytes[0] !== 0x2d
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Takes the files of a directory out of the page cache, so that they are read from the disk. */
async function forget(directory: string): Promise<void> {
  const files = [directory, '-type', 'f', '-size', '+64k', '-exec']
  await run('find', [...files, 'sync', '-d', '{}', '+'])
  await run('find', [...files, 'dd', 'if={}', 'iflag=nocache', 'count=0', 'of=/dev/null', 'status=none', ';'])
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function createTopic(port: number): Promise<void> {
  const version = 4
  const topics = [{ name: topic, numPartitions: laneCount, replicationFactor: 1, assignments: [], configs: [] }]
  const header = { correlationId: 1, clientId: 'bench' }
  const request = encodeRequest(apis.createTopics, version, header, { topics, timeoutMs: 10_000, validateOnly: false })
  const answer = await ask(port, request)
  const { body } = decodeResponse(apis.createTopics, version, answer.subarray(4))
  const errorCode = body.topics[0]?.errorCode
  if (errorCode !== 0) throw new Error(`topic not made: error ${errorCode}`)
}

async function createStream(port: number, name: string): Promise<void> {
  const config = JSON.stringify({ name, subjects: [name], storage: 'file', retention: 'limits', num_replicas: 1 })
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    socket.write(natsHello('made').bytes)
    socket.write(`PUB $JS.API.STREAM.CREATE.${name} made ${config.length}\r\n${config}\r\n`)
    const messages = new NatsMessages((bytes) => void socket.write(bytes))
    for (let answers = 0; answers === 0;) {
      const [chunk] = await once(socket, 'data')
      answers = messages.push(chunk, (bytes, at, lengthBytes) => {
        const answer = bytes.toString('utf8', at, at + lengthBytes)
        if (answer.includes('"error"')) throw new Error(`stream not made: ${answer}`)
      })
    }
  } finally {
    socket.destroy()
  }
}

async function ask(port: number, request: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    socket.write(request)
    const [answer] = await once(socket, 'data')
    return answer
  } finally {
    socket.destroy()
  }
}
