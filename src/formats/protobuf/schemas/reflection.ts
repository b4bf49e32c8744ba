import { field, message, oneof, optional, repeated } from '../message.ts'
import { bidirectional, type ProtoFile, type Service } from '../service.ts'
import { bytes, int32, string } from '../types.ts'

// Server reflection of gRPC: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md Versions 1 and 1alpha differ in their package only.

export const extensionRequest = message('ExtensionRequest', {
  containingType: field(1, string),
  extensionNumber: field(2, int32),
})

export const serverReflectionRequest = message('ServerReflectionRequest', {
  host: field(1, string),
  messageRequest: oneof({
    fileByFilename: { number: 3, type: string },
    fileContainingSymbol: { number: 4, type: string },
    fileContainingExtension: { number: 5, type: extensionRequest },
    allExtensionNumbersOfType: { number: 6, type: string },
    listServices: { number: 7, type: string },
  }),
})

export const fileDescriptorResponse = message('FileDescriptorResponse', { fileDescriptorProto: repeated(1, bytes) })
export const extensionNumberResponse = message('ExtensionNumberResponse', {
  baseTypeName: field(1, string),
  extensionNumber: repeated(2, int32),
})
export const serviceResponse = message('ServiceResponse', { name: field(1, string) })
export const listServiceResponse = message('ListServiceResponse', { service: repeated(1, serviceResponse) })
export const errorResponse = message('ErrorResponse', { errorCode: field(1, int32), errorMessage: field(2, string) })

export const serverReflectionResponse = message('ServerReflectionResponse', {
  validHost: field(1, string),
  originalRequest: optional(2, serverReflectionRequest),
  messageResponse: oneof({
    fileDescriptorResponse: { number: 4, type: fileDescriptorResponse },
    allExtensionNumbersResponse: { number: 5, type: extensionNumberResponse },
    listServicesResponse: { number: 6, type: listServiceResponse },
    errorResponse: { number: 7, type: errorResponse },
  }),
})

export const reflectionService = {
  name: 'ServerReflection',
  methods: { ServerReflectionInfo: bidirectional(serverReflectionRequest, serverReflectionResponse) },
} satisfies Service

export const reflectionFile: ProtoFile = reflectionFileOf('v1')
export const reflectionAlphaFile: ProtoFile = reflectionFileOf('v1alpha')

function reflectionFileOf(version: string): ProtoFile {
  return {
    name: `grpc/reflection/${version}/reflection.proto`,
    package: `grpc.reflection.${version}`,
    messages: [
      serverReflectionRequest,
      extensionRequest,
      serverReflectionResponse,
      fileDescriptorResponse,
      extensionNumberResponse,
      listServiceResponse,
      serviceResponse,
      errorResponse,
    ],
    enumerations: [],
    services: [reflectionService],
  }
}
