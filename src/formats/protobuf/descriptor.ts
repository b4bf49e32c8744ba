import { field, message, optional, repeated, type FieldRow, type Label } from './message.ts'
import type { ProtoFile, Service } from './service.ts'
import { bool, int32, string, type InputOf, type TypeName } from './types.ts'

// What is needed of google/protobuf/descriptor.proto, https://protobuf.com/docs/descriptors

const fieldDescriptor = message('FieldDescriptorProto', {
  name: field(1, string),
  number: field(3, int32),
  label: field(4, int32),
  type: field(5, int32),
  typeName: field(6, string),
  oneofIndex: optional(9, int32),
  jsonName: field(10, string),
  isProto3Optional: field(17, bool),
})
const enumValueDescriptor = message('EnumValueDescriptorProto', { name: field(1, string), number: optional(2, int32) })
const enumDescriptor = message('EnumDescriptorProto', { name: field(1, string), values: repeated(2, enumValueDescriptor) })
const oneofDescriptor = message('OneofDescriptorProto', { name: field(1, string) })
const messageDescriptor = message('DescriptorProto', {
  name: field(1, string),
  fields: repeated(2, fieldDescriptor),
  enums: repeated(4, enumDescriptor),
  oneofs: repeated(8, oneofDescriptor),
})
const methodDescriptor = message('MethodDescriptorProto', {
  name: field(1, string),
  inputType: field(2, string),
  outputType: field(3, string),
  isClientStreaming: field(5, bool),
  isServerStreaming: field(6, bool),
})
const serviceDescriptor = message('ServiceDescriptorProto', { name: field(1, string), methods: repeated(2, methodDescriptor) })

/** A file, as reflection hands it out. */
export const fileDescriptor = message('FileDescriptorProto', {
  name: field(1, string),
  package: field(2, string),
  messages: repeated(4, messageDescriptor),
  enums: repeated(5, enumDescriptor),
  services: repeated(6, serviceDescriptor),
  syntax: field(12, string),
})

const labels: Record<Label, number> = { plain: 1, optional: 1, repeated: 3 }
const types: Record<TypeName['kind'], number> = {
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  bytes: 12,
  uint32: 13,
  enum: 14,
}

/** The `FileDescriptorProto` of a file, encoded. */
export function describeFile(file: ProtoFile): Buffer {
  const enums = file.enumerations.map((enumeration) => ({ ...describeEnum(enumeration), path: pathOf(enumeration.name) }))
  return fileDescriptor.encode({
    name: file.name,
    package: file.package,
    messages: file.messages.map(({ name, fields }) => {
      const path = pathOf(name)
      const inner = enums.filter((one) => one.path.outer === path.inner)
      return { name: path.inner, enums: inner, ...describeFields(fields, file) }
    }),
    enums: enums.filter(({ path }) => path.outer === undefined),
    services: file.services.map((service) => describeService(service, file)),
    syntax: 'proto3',
  })
}

function describeFields(
  fields: readonly FieldRow[],
  file: ProtoFile,
): Pick<InputOf<typeof messageDescriptor>, 'fields' | 'oneofs'> {
  // A field that may be absent is in a `oneof` of its own, which comes after the real ones.
  const real = new Set(fields.flatMap(({ oneof }) => (oneof === undefined ? [] : [oneof])))
  const oneofs = [...real, ...fields.filter(({ label }) => label === 'optional').map(({ name }) => `_${name}`)]
  return {
    oneofs: oneofs.map((name) => ({ name })),
    fields: fields.map(({ name, number, label, type, oneof }) => {
      const oneofIndex = oneofs.indexOf(oneof ?? `_${name}`)
      return {
        name,
        number,
        label: labels[label],
        type: types[type.kind],
        ...('of' in type ? { typeName: fullName(type.of, file) } : {}),
        ...(oneofIndex >= 0 ? { oneofIndex } : {}),
        jsonName: name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
        isProto3Optional: label === 'optional',
      }
    }),
  }
}

function describeEnum({ name, values }: ProtoFile['enumerations'][number]): InputOf<typeof enumDescriptor> {
  return { name: pathOf(name).inner, values: Object.entries(values).map(([text, number]) => ({ name: text, number })) }
}

function describeService({ name, methods }: Service, file: ProtoFile): InputOf<typeof serviceDescriptor> {
  return {
    name,
    methods: Object.entries(methods).map(([methodName, { kind, request, response }]) => ({
      name: methodName,
      inputType: fullName(request.name.of, file),
      outputType: fullName(response.name.of, file),
      isClientStreaming: kind === 'bidirectional',
      isServerStreaming: kind !== 'unary',
    })),
  }
}

function fullName(name: string, file: ProtoFile): string {
  return `.${file.package}.${name}`
}

function pathOf(name: { readonly of: string }): { inner: string; outer: string | undefined } {
  const [inner = '', outer] = name.of.split('.').toReversed()
  return { inner, outer }
}
