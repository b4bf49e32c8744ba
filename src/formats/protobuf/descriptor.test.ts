import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadSync } from '@grpc/proto-loader'
import { describeFile, fileDescriptor } from './descriptor.ts'
import { healthFile } from './schemas/health-v1.ts'
import { logFile } from './schemas/log-v1.ts'
import { reflectionAlphaFile, reflectionFile } from './schemas/reflection.ts'
import { logProtoPath, standardProtos } from './standard-protos.fixture.ts'

type Described = ReturnType<typeof fileDescriptor.decode>

test('the tables are what log.proto says', () => {
  assert.deepEqual(comparable(fileDescriptor.decode(describeFile(logFile))), comparable(compile(logProtoPath)))
})

for (const file of [healthFile, reflectionFile, reflectionAlphaFile]) {
  test(`the tables are what ${file.name} of gRPC says`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    try {
      const path = join(directory, 'standard.proto')
      writeFileSync(path, standardProtos[file.package] ?? '')
      assert.deepEqual(comparable(fileDescriptor.decode(describeFile(file))), comparable(compile(path)))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

test('a field that may be absent is alone in a oneof behind the others, as protoc has it', () => {
  const { messages } = fileDescriptor.decode(describeFile(logFile))
  for (const { name, fields, oneofs } of messages) {
    const realCount = oneofs.findIndex((oneof) => oneof.name.startsWith('_'))
    for (const { name: fieldName, oneofIndex, isProto3Optional } of fields) {
      assert.equal(
        isProto3Optional,
        oneofIndex !== undefined && oneofs[oneofIndex]?.name === `_${fieldName}`,
        `${name}.${fieldName}`,
      )
      if (isProto3Optional) assert.ok((oneofIndex ?? 0) >= realCount)
    }
  }
})

test('names are those of protoc: types from the root, fields in snake case, in JSON in camel case', () => {
  const { name, messages } = fileDescriptor.decode(describeFile(logFile))
  assert.equal(name, 'millrace/log/v1/log.proto')
  const request = messages.find((message) => message.name === 'ProduceRequest')
  const fields = request?.fields.map((field) => [field.name, field.jsonName, field.typeName])
  assert.deepEqual(fields, [
    ['topic', 'topic', ''],
    ['partition', 'partition', ''],
    ['ack', 'ack', '.millrace.log.v1.Ack'],
    ['records', 'records', '.millrace.log.v1.Record'],
    ['record_batch', 'recordBatch', ''],
  ])
})

/** The file as protobufjs compiles it. */
function compile(path: string): Described {
  for (const one of Object.values(loadSync(path, { keepCase: true }))) {
    if (!('fileDescriptorProtos' in one) || !Array.isArray(one.fileDescriptorProtos)) continue
    for (const bytes of one.fileDescriptorProtos) if (Buffer.isBuffer(bytes)) return fileDescriptor.decode(bytes)
  }
  throw new Error(`${path} has nothing in it`)
}

/** Without what protobufjs leaves out (names in JSON, the mark of optional fields, the path), its names of types made absolute; in order of names. */
function comparable(file: Described): unknown {
  const byName = <T extends { readonly name: string }>(values: readonly T[]): T[] =>
    values.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const absolute = (name: string, within: string): string => {
    if (name === '' || name.startsWith('.')) return name
    const isInner = file.messages.some((message) => message.name === within && message.enums.some((one) => one.name === name))
    return `.${file.package}.${isInner ? `${within}.` : ''}${name}`
  }
  return {
    package: file.package,
    syntax: file.syntax,
    enums: byName(file.enums),
    messages: byName(file.messages).map((message) => ({
      ...message,
      fields: message.fields.map((field) => ({
        ...field,
        jsonName: '',
        isProto3Optional: false,
        typeName: absolute(field.typeName, message.name),
      })),
    })),
    services: byName(file.services).map((service) => ({
      name: service.name,
      methods: service.methods.map((method) => ({
        ...method,
        inputType: absolute(method.inputType, ''),
        outputType: absolute(method.outputType, ''),
      })),
    })),
  }
}
