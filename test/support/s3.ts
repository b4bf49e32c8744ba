import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { S3Client, CreateBucketCommand } from '@aws-sdk/client-s3'
import type { ObjectsSettings } from '#store/settings.ts'
import { ensureFile } from './ensure-program.ts'
import { temporaryDirectory } from './temp-directory.ts'
import { until } from './until.ts'

const credentials = { accessKeyId: 'test:tester', secretAccessKey: 'testing-secret' }

/** A real S3 service on loopback: OpenStack Swift, see `s3-server.py` beside this file. One per test file, one bucket per test. */
export interface S3Server extends AsyncDisposable {
  /** Makes an empty bucket; settings of an object store in it. */
  createBucket(): Promise<ObjectsSettings & { bucket: string }>
  /** Ends the service; its port then refuses. Objects are lost, buckets stay. */
  stop(): Promise<void>
  /** Starts it again on the same port. */
  restart(): Promise<void>
}

/** Starts the service in about a second; it also ends when this process does. `hasConditionalPuts`: whether it takes `If-None-Match: *`. */
export async function startS3({ hasConditionalPuts }: { hasConditionalPuts: boolean }): Promise<S3Server> {
  await ensureFile({ path: '/usr/lib/python3/dist-packages/swift/__init__.py', debianPackage: 'python3-swift' })
  const directory = await temporaryDirectory()
  const mode = hasConditionalPuts ? ['conditional'] : []
  let running = await launch({ directory: directory.path, port: 0, mode })
  const { port } = running
  let buckets = 0

  return {
    async createBucket() {
      buckets += 1
      const settings = { ...credentials, endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', pathStyle: true }
      const client = new S3Client({ endpoint: settings.endpoint, region: settings.region, forcePathStyle: true, credentials })
      const bucket = `bucket-${buckets}`
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      client.destroy()
      return { ...settings, bucket }
    },
    stop: () => stop(running.server),
    async restart() {
      running = await launch({ directory: directory.path, port, mode })
    },
    async [Symbol.asyncDispose]() {
      await stop(running.server)
      await directory[Symbol.asyncDispose]()
    },
  }
}

async function launch({ directory, port, mode }: { directory: string; port: number; mode: string[] }) {
  const script = fileURLToPath(new URL('s3-server.py', import.meta.url))
  const { accessKeyId, secretAccessKey } = credentials
  const server = spawn('/usr/bin/python3', [script, directory, String(port), accessKeyId, secretAccessKey, ...mode])
  let output = ''
  let log = ''
  server.stdout.on('data', (text) => (output += String(text)))
  server.stderr.on('data', (text) => (log += String(text)))
  await until(() => output.includes('\n') || server.exitCode !== null, { what: 'the S3 service to start', timeoutMs: 20_000 })
  if (server.exitCode !== null) throw new Error(`the S3 service did not start:\n${log}`)
  return { server, port: Number(output) }
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const closed = once(server, 'close')
  server.kill('SIGKILL')
  await closed
}
