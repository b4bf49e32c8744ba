import { describeFile } from '#formats/protobuf/descriptor.ts'
import type { serverReflectionRequest, serverReflectionResponse } from '#formats/protobuf/schemas/reflection.ts'
import type { ProtoFile } from '#formats/protobuf/service.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import type { Conversation } from '../route.ts'
import { servedFiles, serviceNamesOf } from '../served-files.ts'
import { statusCodes } from '../status.ts'

type Request = ValueOf<typeof serverReflectionRequest>
type Response = InputOf<typeof serverReflectionResponse>
type Answer = NonNullable<Response['messageResponse']>

/** Tells clients that have no `.proto`, such as grpcurl, what the server speaks. */
export async function reflect({ receive, send }: Conversation<Request, Response>): Promise<void> {
  for (let incoming = await receive(); incoming; incoming = await receive()) {
    const { request } = incoming
    await send({ validHost: request.host, originalRequest: request, messageResponse: answerTo(request) })
  }
}

function answerTo({ messageRequest }: Request): Answer {
  switch (messageRequest?.kind) {
    case 'listServices':
      return { kind: 'listServicesResponse', value: { service: servedFiles.flatMap(serviceNamesOf).map((name) => ({ name })) } }
    case 'fileByFilename':
      return fileAnswer(
        servedFiles.find(({ name }) => name === messageRequest.value),
        messageRequest.value,
      )
    case 'fileContainingSymbol':
      return fileAnswer(
        servedFiles.find((file) => symbolsOf(file).has(messageRequest.value)),
        messageRequest.value,
      )
    case 'fileContainingExtension':
      return notFound(`extension of ${messageRequest.value.containingType}`)
    case 'allExtensionNumbersOfType':
      return notFound(`extension of ${messageRequest.value}`)
    case undefined:
      return refusal('INVALID_ARGUMENT', 'the request asks for nothing')
  }
}

/** No file imports another, so it is all there is to send. */
function fileAnswer(file: ProtoFile | undefined, name: string): Answer {
  if (!file) return notFound(name)
  return { kind: 'fileDescriptorResponse', value: { fileDescriptorProto: [describeFile(file)] } }
}

/** Full names of what a file declares, methods and fields included. */
function symbolsOf(file: ProtoFile): ReadonlySet<string> {
  return new Set(
    [
      ...file.messages.flatMap(({ name, fields }) => [name.of, ...fields.map((field) => `${name.of}.${field.name}`)]),
      ...file.enumerations.map(({ name }) => name.of),
      ...file.services.flatMap(({ name, methods }) => [name, ...Object.keys(methods).map((method) => `${name}.${method}`)]),
    ].map((name) => `${file.package}.${name}`),
  )
}

function notFound(what: string): Answer {
  return refusal('NOT_FOUND', `there is no ${what.slice(0, 200)}`)
}

function refusal(status: keyof typeof statusCodes, errorMessage: string): Answer {
  return { kind: 'errorResponse', value: { errorCode: statusCodes[status], errorMessage } }
}
