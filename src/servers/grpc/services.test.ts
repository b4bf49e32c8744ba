import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { standardProtos } from '#formats/protobuf/standard-protos.fixture.ts'
import { AppError } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import {
  at,
  definitionOf,
  drain,
  recordsOf,
  refusalOf,
  startGrpcServer,
  userAccess,
  valuesOf,
  type GrpcClient,
  type Plain,
} from './grpc.fixture.ts'

const health = 'grpc.health.v1.Health'

function standardDefinition(name: string): PackageDefinition {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  try {
    const path = join(directory, 'standard.proto')
    writeFileSync(path, standardProtos[name] ?? '')
    return loadSync(path, { longs: Number, enums: String, oneofs: true, defaults: true })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const definitions = {
  health: standardDefinition('grpc.health.v1'),
  v1: standardDefinition('grpc.reflection.v1'),
  v1alpha: standardDefinition('grpc.reflection.v1alpha'),
}

/** One question of reflection. */
async function ask(client: GrpcClient, version: string, request: Plain): Promise<unknown> {
  const stream = client.talk(`grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`)
  const drained = drain(stream)
  stream.write(request)
  stream.end()
  const { messages, refusal } = await drained
  assert.deepEqual([messages.length, refusal], [1, undefined])
  return messages[0]
}

test('health is told of all and of each service, also without credentials', async () => {
  await using server = await startGrpcServer({ access: userAccess })
  using client = server.client({ definition: definitions.health })
  for (const service of ['', 'millrace.log.v1.Log', health, 'grpc.reflection.v1.ServerReflection']) {
    assert.deepEqual(await client.call(`${health}/Check`, { service }), { status: 'SERVING' })
  }
  assert.equal((await refusalOf(client.call(`${health}/Check`, { service: 'other' }))).status, 5)
})

test('who watches health is told when the log takes no more records', async () => {
  await using server = await startGrpcServer()
  using client = server.client({ definition: definitions.health })
  const found: unknown[] = []
  const stream = client.stream(`${health}/Watch`, { service: '' })
  stream.on('data', (message) => found.push(at(message, 'status')))
  stream.on('error', () => {})
  await until(() => found.length > 0)
  server.hub.fail(new AppError('LOG_UNAVAILABLE', 'the disk is gone'))
  await until(() => found.length > 1)
  assert.deepEqual(found, ['SERVING', 'NOT_SERVING'])
  assert.deepEqual(await client.call(`${health}/Check`, { service: '' }), { status: 'NOT_SERVING' })
  stream.cancel()
  await until(() => server.server.stats.openCalls === 0)
})

test('who watches health is told when the server stops, and that a service is unknown', async () => {
  await using server = await startGrpcServer()
  using client = server.client({ definition: definitions.health })
  const known = client.stream(`${health}/Watch`, { service: 'millrace.log.v1.Log' })
  const unknown = client.stream(`${health}/Watch`, { service: 'other' })
  const [message] = await once(unknown, 'data')
  assert.deepEqual(message, { status: 'SERVICE_UNKNOWN' })
  unknown.on('error', () => {})
  const drained = drain(known)
  await until(() => server.server.stats.openCalls === 2)
  await server.server[Symbol.asyncDispose]()
  const { messages, refusal } = await drained
  assert.deepEqual([messages.map((one) => at(one, 'status')), refusal?.status], [['SERVING', 'NOT_SERVING'], 14])
})

for (const version of ['v1', 'v1alpha'] as const) {
  test(`reflection ${version} lists services, and gives the files that clients can work with`, async () => {
    await using server = await startGrpcServer()
    using client = server.client({ definition: definitions[version] })
    const list = await ask(client, version, { host: 'h', listServices: '*' })
    assert.equal(at(list, 'validHost'), 'h')
    const services = at(list, 'listServicesResponse.service')
    assert.deepEqual(services, [
      { name: 'millrace.log.v1.Log' },
      { name: 'grpc.health.v1.Health' },
      { name: 'grpc.reflection.v1.ServerReflection' },
      { name: 'grpc.reflection.v1alpha.ServerReflection' },
    ])
    const descriptors: Buffer[] = []
    for (const symbol of ['millrace.log.v1.Log', 'grpc.health.v1.Health']) {
      const file = at(
        await ask(client, version, { fileContainingSymbol: symbol }),
        'fileDescriptorResponse.fileDescriptorProto.0',
      )
      assert.ok(Buffer.isBuffer(file))
      descriptors.push(file)
    }
    using reflected = server.client({ definition: definitionOf(descriptors) })
    await reflected.call('CreateTopic', { name: 't' })
    await reflected.call('Produce', { topic: 't', partition: 0, ack: 'ACK_WAL', records: recordsOf('a') })
    const { messages } = await drain(reflected.stream('Consume', { topic: 't', start: { offset: 0 } }))
    assert.deepEqual(valuesOf(messages), ['a'])
    assert.deepEqual(await reflected.call(`${health}/Check`, {}), { status: 'SERVING' })
  })
}

const symbols: readonly (readonly [question: Plain, isFound: boolean])[] = [
  [{ fileByFilename: 'millrace/log/v1/log.proto' }, true],
  [{ fileByFilename: 'grpc/reflection/v1alpha/reflection.proto' }, true],
  [{ fileByFilename: 'log.proto' }, false],
  [{ fileContainingSymbol: 'millrace.log.v1.Log.Produce' }, true],
  [{ fileContainingSymbol: 'millrace.log.v1.Record' }, true],
  [{ fileContainingSymbol: 'millrace.log.v1.Record.timestamp_ms' }, true],
  [{ fileContainingSymbol: 'millrace.log.v1.Ack' }, true],
  [{ fileContainingSymbol: 'grpc.health.v1.HealthCheckResponse.ServingStatus' }, true],
  [{ fileContainingSymbol: 'millrace.log.v1.Nothing' }, false],
  [{ fileContainingExtension: { containingType: 'millrace.log.v1.Record', extensionNumber: 100 } }, false],
  [{ allExtensionNumbersOfType: 'millrace.log.v1.Record' }, false],
]
test('reflection finds files by name and by symbol, and says what it does not have', async () => {
  await using server = await startGrpcServer()
  using client = server.client({ definition: definitions.v1 })
  for (const [question, isFound] of symbols) {
    const answer = await ask(client, 'v1', question)
    assert.equal(at(answer, 'errorResponse.errorCode'), isFound ? undefined : 5, JSON.stringify(question))
    assert.equal(Buffer.isBuffer(at(answer, 'fileDescriptorResponse.fileDescriptorProto.0')), isFound)
  }
  assert.equal(at(await ask(client, 'v1', {}), 'errorResponse.errorCode'), 3)
})
