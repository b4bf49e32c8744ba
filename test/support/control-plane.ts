/** Nodes of the control plane that share one PostgreSQL and one bucket. */
import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import type { ObjectsSettings } from '#store/settings.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { FleetApi, startControl } from './fleet.ts'
import type { PostgresServer } from './postgres.ts'
import type { Millrace } from './program.ts'
import type { S3Server } from './s3.ts'

export type ControlPlane = AsyncDisposable & {
  readonly nodes: readonly Millrace[]
  readonly urls: readonly string[]
  /** What the nodes store, for the test to look at. */
  readonly database: Database
  readonly objects: ObjectStore
  /** Another one, which ends with the others. */
  readonly addNode: () => Promise<Millrace>
}

type Options = {
  readonly postgres: PostgresServer
  readonly s3: S3Server
  readonly count: number
  readonly env?: Readonly<Record<string, string>>
}

/** Nodes with the role `api` over a new database and a new bucket, one after the other: the first has the duties. */
export async function startControlPlane({ postgres, s3, count, env }: Options): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack()
  const url = await postgres.createDatabase()
  const bucket = await s3.createBucket()
  const shared = { DATABASE_URL: url, ...bucketEnvironment(bucket), ...env }
  const log = createLog({ level: 'silent', pretty: false })
  const database = stack.use(await openDatabase({ url, log }))
  const objects = stack.use(await openObjectStore(bucket, { dataDirectory: '/nowhere', clock: systemClock, log }))
  const nodes: Millrace[] = []
  for (let n = 0; n < count; n++) nodes.push(stack.use(await startControl({ role: 'api', env: shared })))
  const owned = stack.move()
  const addNode = async (): Promise<Millrace> => owned.use(await startControl({ role: 'api', env: shared }))
  const urls = nodes.map((node) => node.url)
  return { nodes, urls, database, objects, addNode, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() }
}

function bucketEnvironment(settings: ObjectsSettings & { bucket: string }): Record<string, string> {
  return {
    S3_ENDPOINT: settings.endpoint ?? '',
    S3_BUCKET: settings.bucket,
    S3_REGION: settings.region,
    S3_PATH_STYLE: 'true',
    AWS_ACCESS_KEY_ID: settings.accessKeyId ?? '',
    AWS_SECRET_ACCESS_KEY: settings.secretAccessKey ?? '',
  }
}

/** Adds a scenario through the API of a node. */
export async function addScenario({ url }: Pick<Millrace, 'url'>, scenario: Readonly<Record<string, unknown>>): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/api/v1/scenarios`, { method: 'POST', headers, body: JSON.stringify(scenario) })
  if (response.status !== 201) throw new Error(`scenario was refused: ${response.status} ${await response.text()}`)
}

/** Submits a job to the first of these nodes that answers, again and again; the key makes of it one job. */
export async function submitSurely(
  nodes: readonly Pick<Millrace, 'url'>[],
  job: Readonly<Record<string, unknown>>,
  key: string,
): Promise<string> {
  const apis = nodes.map((node) => new FleetApi(node))
  for (let tries = 1; ; tries++) {
    for (const api of apis) {
      try {
        const { id } = await api.submit(job, { 'idempotency-key': key })
        return id
      } catch (error) {
        if (tries >= 1000) throw error
      }
    }
  }
}
