import { Client, credentials, Metadata, type CallOptions, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer, loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { pino } from 'pino'
import { logProtoPath } from '#formats/protobuf/standard-protos.fixture.ts'
import { systemClock, type Clock } from '#lib/clock.ts'
import { systemTimers } from '#lib/timers.ts'
import { openLog, type OpenedLog } from '../../../test/support/log-agent.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import type { Access } from './log-hub.ts'
import { GrpcServer, type GrpcServerDeps } from './server.ts'
import type { GrpcSettings } from './settings.ts'

export const openAccess: Access = { isRequired: () => false, findPassword: () => undefined, isAdmin: () => false }

/** Users `root` (an administrator) and `alice`; the password is the name, doubled. */
export const userAccess: Access = {
  isRequired: () => true,
  findPassword: (user) => (['root', 'alice'].includes(user) ? user + user : undefined),
  isAdmin: (user) => user === 'root',
}

const testSettings: GrpcSettings = { enabled: true, host: '127.0.0.1', port: 0, maxConnections: 100, maxMessageBytes: 4_194_304 }

export type TestServer = AsyncDisposable & {
  readonly server: GrpcServer
  readonly hub: OpenedLog['agent']
  readonly database: OpenedLog['database']
  readonly client: (options?: ClientOptions) => GrpcClient
}

/** A server on a free port of this machine, with a log on real files. */
export async function startGrpcServer({
  access = openAccess,
  settings = {},
  clock = systemClock,
  tls,
}: { access?: Access; settings?: Partial<GrpcSettings>; clock?: Clock } & Pick<GrpcServerDeps, 'tls'> = {}): Promise<TestServer> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory())
  const { agent, database } = stack.use(await openLog({ directory: directory.path, settings: { objectAckMilliseconds: 10 } }))
  const server = stack.use(
    await GrpcServer.listen({
      hub: agent,
      access,
      clock,
      timers: systemTimers,
      log: pino({ level: 'silent' }),
      settings: { ...testSettings, ...settings },
      tls,
    }),
  )
  const opened = stack.move()
  return {
    server,
    hub: agent,
    database,
    client: (options) => new GrpcClient(server.port, options),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** A message as protobufjs has it: names in camel case, numbers as numbers, enumerations by name. */
export type Plain = { readonly [field: string]: unknown }
type CallChoices = { readonly metadata?: Readonly<Record<string, string>>; readonly deadlineMs?: number }
export type ClientOptions = {
  readonly credentials?: ChannelCredentials
  readonly channel?: ChannelOptions
  /** A user of `userAccess`. */
  readonly user?: string
  /** In place of `log.proto`. */
  readonly definition?: PackageDefinition
}

const loading = { longs: Number, enums: String, oneofs: true, defaults: true } as const
export const logDefinition = loadSync(logProtoPath, loading)

/** What reflection hands out, compiled. */
export function definitionOf(descriptors: readonly Buffer[]): PackageDefinition {
  // A FileDescriptorSet is a list of files in field 1.
  const set = descriptors.flatMap((bytes) => [Buffer.from([0x0a]), lengthPrefix(bytes.length), bytes])
  return loadFileDescriptorSetFromBuffer(Buffer.concat(set), loading)
}

function lengthPrefix(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
  return Buffer.from([...bytes, rest])
}

/** A client by grpc-js; messages are encoded by protobufjs. */
export class GrpcClient implements Disposable {
  readonly #client: Client
  readonly #definition: PackageDefinition
  readonly #user: string | undefined

  constructor(port: number, { credentials: channelCredentials, channel, user, definition }: ClientOptions = {}) {
    this.#client = new Client(`localhost:${port}`, channelCredentials ?? credentials.createInsecure(), channel)
    this.#definition = definition ?? logDefinition
    this.#user = user
  }

  /** Calls a unary method, of `millrace.log.v1.Log` unless its service is named. */
  async call(name: string, request: Plain, choices: CallChoices = {}): Promise<Plain> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name)
    return await new Promise((resolve, reject) => {
      const onAnswer = (error: Error | null, answer?: object): void => (error ? reject(error) : resolve({ ...answer }))
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(choices),
        optionsOf(choices),
        onAnswer,
      )
    })
  }

  /** Calls a method that answers with a stream. */
  stream(name: string, request: Plain, choices: CallChoices = {}) {
    const { path, requestSerialize, responseDeserialize } = this.#method(name)
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata(choices),
      optionsOf(choices),
    )
  }

  /** Calls a method where both sides stream. */
  talk(name: string, choices: CallChoices = {}) {
    const { path, requestSerialize, responseDeserialize } = this.#method(name)
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#metadata(choices),
      optionsOf(choices),
    )
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #method(name: string) {
    const at = name.lastIndexOf('/')
    const service = at < 0 ? 'millrace.log.v1.Log' : name.slice(0, at)
    const methods = this.#definition[service]
    const method = methods && !('format' in methods) ? methods[name.slice(at + 1)] : undefined
    if (!method) throw new Error(`there is no method ${name}`)
    return method
  }

  #metadata({ metadata = {} }: CallChoices): Metadata {
    const made = new Metadata()
    for (const [name, value] of Object.entries(metadata)) made.set(name, value)
    if (this.#user !== undefined) made.set('authorization', basic(this.#user, this.#user + this.#user))
    return made
  }
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function optionsOf({ deadlineMs }: CallChoices): CallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
}

/** What a call that fails says: status, our own code, and the message. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => new Error('the call should have failed'),
    (thrown: unknown) => thrown,
  )
  return refusalIn(error)
}

export type Refusal = { readonly status: unknown; readonly code: unknown; readonly message: unknown }

export function refusalIn(error: unknown): Refusal {
  const metadata = at(error, 'metadata')
  const code = metadata instanceof Metadata ? metadata.get('millrace-error')[0] : undefined
  return { status: at(error, 'code'), code, message: at(error, 'details') ?? String(error) }
}

/** All messages of a stream, and how it ended. */
export async function drain(stream: AsyncIterable<unknown>): Promise<{ messages: unknown[]; refusal: Refusal | undefined }> {
  const messages: unknown[] = []
  try {
    for await (const message of stream) messages.push(message)
    return { messages, refusal: undefined }
  } catch (error) {
    return { messages, refusal: refusalIn(error) }
  }
}

/** Values of the records in the answers of `Consume`, as text. */
export function valuesOf(messages: readonly unknown[]): string[] {
  return messages.flatMap((message) => {
    const records = at(message, 'records')
    return Array.isArray(records) ? records.map((one) => String(at(one, 'value'))) : []
  })
}

/** Records of these values. */
export function recordsOf(...values: readonly string[]): Plain[] {
  return values.map((value) => ({ value: Buffer.from(value), timestampMs: 1_700_000_000_000 }))
}

/** What is at a path such as `partitions.0.baseOffset`. */
export function at(value: unknown, path: string): unknown {
  let found = value
  for (const name of path.split('.')) {
    found = typeof found === 'object' && found !== null ? Object.entries(found).find(([key]) => key === name)?.[1] : undefined
  }
  return found
}
