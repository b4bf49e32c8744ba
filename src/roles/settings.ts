import { join } from 'node:path'
import { Type, type Static, type TObject, type TProperties } from 'typebox'
import { userSchema } from '#auth/access.ts'
import { logLevels } from '#lib/log.ts'
import { AppError } from '#lib/errors.ts'
import { isLoopback } from '#lib/loopback.ts'
import { loadConfiguration, type Environment, type EnvironmentAlias, type FlagSetting, type Loaded } from '#lib/config/load.ts'
import type { Finding } from '#lib/config/validate.ts'
import {
  liveSettingsSchema,
  recordingPolicySchema,
  recordingsSettingsSchema,
  streamNamePattern,
  streamSpecSchema,
} from '#live/settings.ts'
import { fileScenarioProblems, scenariosSettingsSchema } from '#jobs/scenarios/file-scenarios.ts'
import { jobsSettingsProblems, jobsSettingsSchema, workerSettingsSchema } from '#jobs/settings.ts'
import { logSettingsSchema } from '#eventlog/settings.ts'
import { grpcSettingsSchema } from '#servers/grpc/settings.ts'
import { kafkaSettingsSchema } from '#servers/kafka/settings.ts'
import { rtspSettingsSchema } from '#servers/rtsp/settings.ts'
import { backupSettingsSchema } from '#ops/backup/settings.ts'
import { sqliteUrl } from '#store/sql/database.ts'
import { databaseSettingsSchema, objectsSettingsSchema } from '#store/settings.ts'

const closed = { additionalProperties: false } as const
const portRange = { minimum: 0, maximum: 65_535 } as const
const hostSchema = Type.String({
  default: '127.0.0.1',
  minLength: 1,
  description: 'Address to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 network, :: every network.',
})

const serverSettingsSchema = Type.Object(
  {
    dataDirectory: Type.String({
      default: './data',
      minLength: 1,
      description: 'Where the database and, unless told otherwise, recordings and objects are kept.',
    }),
    shutdownSeconds: Type.Number({
      default: 20,
      minimum: 0,
      maximum: 3600,
      description: 'How long an orderly stop may take before the process ends anyway.',
    }),
    allowUnauthenticatedRemote: Type.Boolean({
      default: false,
      description:
        'Let everyone who can reach an address that is not this machine watch, publish, change and delete everything without a password. Needed only to listen beyond loopback while there are no users.',
    }),
  },
  { ...closed, description: 'The process.' },
)

const loggingSettingsSchema = Type.Object(
  {
    level: Type.Enum([...logLevels], { default: 'info', description: 'Least important kind of message that is logged.' }),
    format: Type.Enum(['auto', 'pretty', 'json'], {
      default: 'auto',
      description: 'Lines for people, or one JSON object a line; "auto" is pretty on a terminal.',
    }),
  },
  { ...closed, description: 'The log, on standard error.' },
)

const apiSettingsSchema = Type.Object(
  {
    host: hostSchema,
    port: Type.Integer({
      ...portRange,
      default: 3000,
      description: 'HTTP: API, events, web application, HLS. 0 takes any free port.',
    }),
    tlsPort: Type.Optional(
      Type.Integer({
        ...portRange,
        description: 'HTTPS: the same, besides the plain port; without it there is none. 0 takes any free port.',
      }),
    ),
    requestsPerSecond: Type.Number({
      default: 100,
      minimum: 0,
      maximum: 1_000_000,
      description:
        'Requests that each client (a user, a key, otherwise an address) may send to the API for long, to each node of it; more are refused with RATE_LIMITED. Media, records and what workers say do not count. 0: no limit.',
    }),
    requestBurst: Type.Integer({
      default: 200,
      minimum: 1,
      maximum: 1_000_000,
      description: 'Requests that a client which was quiet may send at once.',
    }),
    allowedOrigins: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Origins whose pages may use the API from a browser, such as "https://wall.example.org"; "*" is all. The own pages always may.',
    }),
  },
  { ...closed, description: 'The HTTP server.' },
)

const tracingSettingsSchema = Type.Object(
  {
    endpoint: Type.Optional(
      Type.String({
        pattern: '^https?://',
        examples: ['http://127.0.0.1:4318'],
        description: 'Address of a collector that takes OTLP over HTTP, /v1/traces below it; without one nothing is traced.',
      }),
    ),
    sampleRatio: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description: 'Part of the traces that are recorded; those that a client began are recorded if the client wants it.',
    }),
  },
  { ...closed, description: 'Traces of requests and jobs, by OpenTelemetry.' },
)

const metricsSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: 'Serve /metrics for Prometheus.' }),
    host: hostSchema,
    port: Type.Integer({ ...portRange, default: 9090, description: 'HTTP: /metrics only. 0 takes any free port.' }),
  },
  { ...closed, description: 'Metrics for Prometheus.' },
)

const profilingSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        'Let administrators take CPU and heap profiles of this process by "millrace profile". They show its code, and a heap snapshot every secret in its memory.',
    }),
  },
  { ...closed, description: 'Profiles of the running process; taken on without a restart.' },
)

const tlsSettingsSchema = Type.Object(
  {
    certificate: Type.Optional(
      Type.String({ minLength: 1, description: 'Path of the certificate chain, PEM; read again when the file changes.' }),
    ),
    key: Type.Optional(Type.String({ minLength: 1, description: 'Path of the private key that belongs to it, PEM.' })),
    clientAuthority: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Path of the authority (CA), PEM, whose client certificates are taken over HTTPS: the common name of one is the user of that name, who then needs no password. Read again when the file changes.',
      }),
    ),
  },
  { ...closed, description: 'The certificate of the HTTPS, Kafka and gRPC servers, and whose client certificates are taken.' },
)

/** A section under its heading in the documents. */
function section<Properties extends TProperties>(schema: TObject<Properties>, description: string): TObject<Properties> {
  return Type.Object(schema.properties, { ...closed, description })
}

/** What a `[streams.<name>]` table may say; the rest comes from `[streamDefaults]`. */
const declaredStreamSchema = Type.Partial(
  Type.Object({ ...streamSpecSchema.properties, recording: Type.Partial(recordingPolicySchema, closed) }),
  closed,
)

/** The whole configuration: types, validation, `config.example.toml` and `docs/configuration.md` come from here. */
export const settingsSchema = Type.Object(
  {
    server: serverSettingsSchema,
    logging: loggingSettingsSchema,
    api: apiSettingsSchema,
    metrics: metricsSettingsSchema,
    tracing: tracingSettingsSchema,
    profiling: profilingSettingsSchema,
    rtsp: section(rtspSettingsSchema, 'The RTSP server: publish and play.'),
    database: section(databaseSettingsSchema, 'Where state is kept.'),
    backup: section(backupSettingsSchema, 'Backups of the database: a copy by schedule, and how long it is kept.'),
    objects: section(objectsSettingsSchema, 'Where files for the long run are kept.'),
    log: section(logSettingsSchema, 'The event log: topics, and how records are kept.'),
    kafka: section(kafkaSettingsSchema, 'The event log for Kafka clients.'),
    grpc: section(grpcSettingsSchema, 'The event log over gRPC.'),
    tls: tlsSettingsSchema,
    jobs: section(jobsSettingsSchema, 'Jobs: how their tasks are given to workers.'),
    worker: section(workerSettingsSchema, 'The worker: what this process takes on of the work.'),
    scenarios: scenariosSettingsSchema,
    live: section(liveSettingsSchema, 'All streams together: limits, queues, reconnection, packaging.'),
    recordings: section(recordingsSettingsSchema, 'All recordings together; what is kept of each stream is its own affair.'),
    streamDefaults: section(
      Type.Object({ ...streamSpecSchema.properties, recording: section(recordingPolicySchema, 'How streams are kept.') }),
      'What holds for each stream that does not say otherwise.',
    ),
    streams: Type.Record(Type.String({ pattern: streamNamePattern }), declaredStreamSchema, {
      description:
        'Streams, one table each, with the keys of [streamDefaults]. A name with a / is quoted: [streams."site-2/gate"]. More can be added by API.',
      keys: 'a stream name is letters, digits, ".", "_", "-", with "/" between elements and no element that begins with "."',
      examples: [
        {
          lobby: {
            sources: ['rtsp://192.0.2.10/stream1', 'rtsp://192.0.2.10/stream2'],
            recording: { enabled: true, retentionHours: 72 },
          },
          'site-2/gate': { sources: ['publish'] },
        },
      ],
    }),
    users: Type.Array(userSchema, {
      default: [],
      maxItems: 1000,
      description: 'Who may connect. While there are no users everyone may, and the program listens on this machine only.',
      examples: [[{ name: 'camera', password: '${CAMERA_PASSWORD}', publish: ['*'], read: [] }]],
    }),
  },
  closed,
)
export type Settings = Static<typeof settingsSchema>

/** The database that is set, or the one in the data directory. */
export function databaseUrl({ database, server }: Settings): string {
  return database.url ?? sqliteUrl(join(server.dataDirectory, 'millrace.sqlite'))
}

export const environmentPrefix = 'MILLRACE_'

/**
 * Names that the surroundings use already. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not among them, although they work: the S3 client reads them
 * itself, together with AWS_SESSION_TOKEN, without which temporary credentials are worthless.
 */
export const environmentAliases: readonly EnvironmentAlias[] = [
  { name: 'DATABASE_URL', key: 'database.url' },
  { name: 'S3_ENDPOINT', key: 'objects.endpoint' },
  { name: 'S3_BUCKET', key: 'objects.bucket' },
  { name: 'S3_REGION', key: 'objects.region' },
  { name: 'AWS_REGION', key: 'objects.region' },
  { name: 'S3_PATH_STYLE', key: 'objects.pathStyle' },
  { name: 'WAL_ENABLED', key: 'log.walEnabled' },
  { name: 'WAL_DIR', key: 'log.walDirectory' },
  { name: 'WAL_SYNC_MS', key: 'log.walSyncMilliseconds' },
  { name: 'BATCH_SIZE', key: 'log.objectBytes' },
  { name: 'BATCH_TIMEOUT_MS', key: 'log.objectMilliseconds' },
  { name: 'SEGMENT_CACHE_SIZE', key: 'log.cacheBytes' },
  { name: 'TLS_CERT_PATH', key: 'tls.certificate' },
  { name: 'TLS_KEY_PATH', key: 'tls.key' },
  { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', key: 'tracing.endpoint' },
]

/**
 * `MILLRACE_…` that are no settings: those of the command line and the tests, and those that Kubernetes sets for a service named `millrace`.
 */
const ignoredVariables =
  /^MILLRACE_(CONFIG|URL|API_(AUTHORITY|CERTIFICATE|KEY)|(FUZZ|TEST)_\w+|SERVICE_(HOST|PORT)\w*|PORT(_\d+_\w+)?)$/

export type LoadSettingsOptions = {
  readonly file?: string | undefined
  readonly environment: Environment
  readonly flags?: readonly FlagSetting[]
}

/** The settings from file, environment and flags; `CONFIG_NOT_FOUND` or `CONFIG_INVALID` with all problems at once. */
export function loadSettings({ file, environment, flags = [] }: LoadSettingsOptions): Promise<Loaded<Settings>> {
  return loadConfiguration({
    schema: settingsSchema,
    file,
    environment,
    environmentPrefix,
    ignoredVariables,
    aliases: environmentAliases,
    flags,
    rules: (settings) => [
      ...doubledUsers(settings),
      ...crossedRetries(settings),
      ...halfTls(settings),
      ...lockedOutUsers(settings),
      ...jobsSettingsProblems(settings),
      ...fileScenarioProblems(settings.scenarios),
    ],
  })
}

/**
 * Refuses (`LISTEN_REFUSED`) to open an address beyond loopback while there are no users, unless the configuration allows that in plain words.
 */
export function checkListenAddresses(settings: Settings): void {
  if (settings.users.length > 0 || settings.server.allowUnauthenticatedRemote) return
  const exposed = listeners(settings).filter(({ host }) => !isLoopback(host))
  if (exposed.length === 0) return
  const names = exposed.map(({ key, host }) => `${key} = "${host}"`).join(', ')
  throw new AppError(
    'LISTEN_REFUSED',
    `${names} opens Millrace to other machines while nobody needs a password; declare [[users]], or listen on 127.0.0.1, or set server.allowUnauthenticatedRemote = true`,
    { details: { keys: exposed.map(({ key }) => key) } },
  )
}

function listeners({ api, rtsp, metrics, kafka, grpc, worker }: Settings): { key: string; host: string }[] {
  return [
    { key: 'api.host', host: api.host },
    { key: 'rtsp.host', host: rtsp.host },
    ...(kafka.enabled ? [{ key: 'kafka.host', host: kafka.host }] : []),
    ...(grpc.enabled ? [{ key: 'grpc.host', host: grpc.host }] : []),
    ...(metrics.enabled ? [{ key: 'metrics.host', host: metrics.host }] : []),
    ...(worker.enabled ? [{ key: 'worker.metricsHost', host: worker.metricsHost }] : []),
  ]
}

function doubledUsers({ users }: Settings): Finding[] {
  return users.flatMap(({ name }, index) => {
    const isDoubled = users.findIndex((other) => other.name === name) < index
    return isDoubled
      ? [{ path: ['users', index, 'name'], message: `is "${name}", which another user has; give each its own name` }]
      : []
  })
}

function crossedRetries({ live }: Settings): Finding[] {
  if (live.retryFirstSeconds <= live.retryMaxSeconds) return []
  const message = `is ${live.retryMaxSeconds}, less than live.retryFirstSeconds (${live.retryFirstSeconds}); raise it`
  return [{ path: ['live', 'retryMaxSeconds'], message }]
}

function halfTls({ tls, kafka, api }: Settings): Finding[] {
  const has = { certificate: tls.certificate !== undefined, key: tls.key !== undefined }
  const path = ['tls', has.certificate ? 'key' : 'certificate']
  if (has.certificate !== has.key) return [{ path, message: 'is missing; certificate and key need each other' }]
  const findings: Finding[] = []
  for (const [section, { tlsPort }] of Object.entries({ kafka, api })) {
    if (tlsPort === undefined || has.key) continue
    const message = 'needs tls.certificate and tls.key; add them, or leave the port out'
    findings.push({ path: [section, 'tlsPort'], message })
  }
  if (tls.clientAuthority !== undefined && api.tlsPort === undefined) {
    findings.push({ path: ['tls', 'clientAuthority'], message: 'is for HTTPS only; set api.tlsPort, or leave it out' })
  }
  return findings
}

function lockedOutUsers({ users, tls }: Settings): Finding[] {
  if (tls.clientAuthority !== undefined) return []
  return users.flatMap(({ password }, index) => {
    const message = 'is missing; add it, or set tls.clientAuthority so that the user gets in by certificate'
    return password === undefined ? [{ path: ['users', index, 'password'], message }] : []
  })
}
