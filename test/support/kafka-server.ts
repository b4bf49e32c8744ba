import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import type { LogAgent, LogAgentOptions } from '#eventlog/agent.ts'
import type { LogSettings } from '#eventlog/settings.ts'
import type { Access } from '#servers/kafka/log-hub.ts'
import { KafkaServer } from '#servers/kafka/server.ts'
import { kafkaSettingsSchema, type KafkaSettings } from '#servers/kafka/settings.ts'
import { writeTestCertificate } from './test-certificate.ts'
import { Value } from 'typebox/value'
import { openLog, type OpenedLog } from './log-agent.ts'
import { temporaryDirectory } from './temp-directory.ts'

export type KafkaNodeOptions = {
  /** Where the log is; absent: a new directory that is removed in the end. */
  readonly directory?: string
  readonly logSettings?: Partial<LogSettings>
  /** Another disk or clock than this machine's, for example. */
  readonly logOptions?: Partial<LogAgentOptions>
  readonly settings?: Partial<KafkaSettings>
  /** Passwords by name; absent: nobody has to log in. */
  readonly users?: Readonly<Record<string, string>>
  /** One of the users, whom no rule binds. */
  readonly admin?: string
  /** Also listens for TLS, with a certificate signed by itself. */
  readonly hasTls?: boolean
}

type Running = { readonly log: OpenedLog; readonly server: KafkaServer }

/** An event log on real files with the Kafka server before it, as a node runs them, with the default settings and on free ports unless one is given. */
export class KafkaNode implements AsyncDisposable {
  readonly #options: KafkaNodeOptions & { readonly directory: string }
  readonly #certificate: { readonly certificateFile: string; readonly keyFile: string } | undefined
  readonly #owned: AsyncDisposableStack
  #running: Running | undefined
  #ports: { readonly port: number; readonly tlsPort?: number }

  private constructor(
    options: KafkaNodeOptions & { readonly directory: string },
    owned: { stack: AsyncDisposableStack; certificate?: { readonly certificateFile: string; readonly keyFile: string } },
  ) {
    this.#options = options
    this.#ports = { port: options.settings?.port ?? 0 }
    this.#certificate = owned.certificate
    this.#owned = owned.stack
  }

  static async open(options: KafkaNodeOptions = {}): Promise<KafkaNode> {
    await using stack = new AsyncDisposableStack()
    const directory = options.directory ?? stack.use(await temporaryDirectory()).path
    const certificate = options.hasTls ? stack.use(await writeTestCertificate()) : undefined
    const owned = { stack: stack.move(), ...(certificate ? { certificate } : {}) }
    const node = new KafkaNode({ ...options, directory }, owned)
    try {
      await node.start()
    } catch (error) {
      await node[Symbol.asyncDispose]()
      throw error
    }
    return node
  }

  get port(): number {
    return this.#ports.port
  }
  /** `host:port`, for clients. */
  get brokers(): string {
    return `127.0.0.1:${this.port}`
  }
  /** The same for clients that speak TLS. */
  get tlsBrokers(): string {
    if (this.#ports.tlsPort === undefined) throw new Error('this node has no TLS')
    return `localhost:${this.#ports.tlsPort}`
  }
  /** What the TLS port's certificate is signed with: itself. */
  get certificateFile(): string {
    if (!this.#certificate) throw new Error('this node has no TLS')
    return this.#certificate.certificateFile
  }
  get agent(): LogAgent {
    return this.#required.log.agent
  }
  get server(): KafkaServer {
    return this.#required.server
  }

  /** Starts it; again on the ports of the first time. */
  async start(): Promise<void> {
    const { directory, logSettings = {}, logOptions = {}, settings = {}, hasTls } = this.#options
    await using opened = new AsyncDisposableStack()
    const log = opened.use(await openLog({ directory, settings: logSettings, options: logOptions }))
    const secure = hasTls ? { tlsPort: 0 } : {}
    const server = await KafkaServer.listen({
      hub: log.agent,
      clusterId: 'test-cluster',
      access: accessOf(this.#options),
      isAutoCreating: true,
      clock: systemClock,
      timers: systemTimers,
      log: createLog({ level: 'silent', pretty: false }),
      settings: kafkaSettings({ ...secure, ...settings, ...this.#ports }),
      ...(this.#certificate ? { tls: this.#certificate } : {}),
    })
    opened.move()
    this.#ports = { port: server.port, ...(server.tlsPort === undefined ? {} : { tlsPort: server.tlsPort }) }
    this.#running = { log, server }
  }

  /** Stops it in good order; the ports and the data stay its own. */
  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.server[Symbol.asyncDispose]()
    await running?.log[Symbol.asyncDispose]()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#owned.disposeAsync()
  }

  get #required(): Running {
    if (!this.#running) throw new Error('the node does not run')
    return this.#running
  }
}

/** Settings of the Kafka server as a fresh configuration has them, on any free port. */
function kafkaSettings(changes: Partial<KafkaSettings>): KafkaSettings {
  const settings = Value.Default(kafkaSettingsSchema, { port: 0, ...changes })
  if (!Value.Check(kafkaSettingsSchema, settings)) throw new Error('these are no settings of the Kafka server')
  return settings
}

function accessOf({ users, admin }: KafkaNodeOptions): Access {
  return {
    isRequired: () => users !== undefined,
    hasUser: (user) => users !== undefined && Object.hasOwn(users, user),
    findPassword: (user) => (users && Object.hasOwn(users, user) ? users[user] : undefined),
    isAdmin: (user) => user === admin,
  }
}
