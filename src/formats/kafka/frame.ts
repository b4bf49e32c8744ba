import type { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'
import {
  apiByKey,
  type Api,
  type ApiName,
  type ApiVersions,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from './apis.ts'
import { skipTags } from './codec.ts'
import { MessageReader, MessageWriter } from './message-bytes.ts'

/** Frames are a length of four bytes, a header, and a message: https://kafka.apache.org/protocol.html#protocol_messages */

/** What is in front of every request. */
export type RequestHeader = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/**
 * Reads the header of a request, up to its message; the length of the frame has been read before. Works for any key and version:
 * which of them are there is for the caller to see.
 */
export function readRequestHeader(r: Reader): RequestHeader {
  const apiKey = r.i16() // request_api_key
  const apiVersion = r.i16() // request_api_version
  const correlationId = r.i32() // correlation_id
  const clientIdBytes = r.i16() // client_id, never compact
  const clientId = clientIdBytes === -1 ? null : r.utf8(clientIdBytes)
  const api = apiByKey(apiKey)
  if (api !== undefined && apiVersion >= api.flexibleFrom) skipTags(r)
  return { apiKey, apiVersion, correlationId, clientId }
}

/**
 * Reads the message of a request behind its header; byte strings are views into the same memory. Throws `UNSUPPORTED` for a version that
 * the API does not have, `TRUNCATED`, `MALFORMED` or `LIMIT_EXCEEDED` for a message that cannot be read. What follows the message is ignored.
 */
export function decodeRequest<N extends ApiName>(api: Api<N>, version: number, r: Reader): RequestOf<N> {
  requireVersion(api, version)
  return api.request.at(version).read(new MessageReader(r.rest()))
}

/** A response with its length in front, in one piece. */
export function encodeResponse<N extends ApiName>(
  api: Api<N>,
  version: number,
  correlationId: number,
  body: ResponseInputOf<N>,
): Buffer {
  const w = new MessageWriter()
  writeResponse(w, { api, version, correlationId, body })
  return w.finish()
}

/**
 * The same as a list of chunks to be written in order. Record batches of 4 KiB and more are chunks as they stand, not copied: they must not
 * change until the chunks are sent.
 */
export function encodeResponseChunks<N extends ApiName>(
  api: Api<N>,
  version: number,
  correlationId: number,
  body: ResponseInputOf<N>,
): Buffer[] {
  const w = new MessageWriter({ borrowFromBytes: 4096 })
  writeResponse(w, { api, version, correlationId, body })
  return w.chunks()
}

/** A request with its length in front, as clients send it. */
export function encodeRequest<N extends ApiName>(
  api: Api<N>,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  body: RequestInputOf<N>,
): Buffer {
  requireVersion(api, version)
  const w = new MessageWriter()
  w.u32(0).i16(api.key).i16(version).i32(header.correlationId)
  const clientId = Buffer.from(header.clientId ?? '')
  w.i16(header.clientId === null ? -1 : clientId.length).raw(clientId)
  if (version >= api.flexibleFrom) w.uvarint(0)
  api.request.at(version).write(w, body)
  w.patchU32(0, w.sizeBytes - 4)
  return w.finish()
}

/** Reads a response, as clients get it, behind the length of its frame. */
export function decodeResponse<N extends ApiName>(
  api: Api<N>,
  version: number,
  frame: Buffer,
): { readonly correlationId: number; readonly body: ResponseOf<N> } {
  requireVersion(api, version)
  const r = new MessageReader(frame)
  const correlationId = r.i32()
  if (hasResponseTags(api, version)) skipTags(r)
  const body = api.response.at(version).read(r)
  if (r.remaining > 0)
    throw new AppError('MALFORMED', `${r.remaining} bytes behind a response of Kafka's ${api.name}, version ${version}`)
  return { correlationId, body }
}

type Versions = ApiVersions & { readonly name: ApiName }
type Response<N extends ApiName> = { api: Api<N>; version: number; correlationId: number; body: ResponseInputOf<N> }

function writeResponse<N extends ApiName>(w: MessageWriter, { api, version, correlationId, body }: Response<N>): void {
  requireVersion(api, version)
  w.u32(0).i32(correlationId)
  if (hasResponseTags(api, version)) w.uvarint(0)
  api.response.at(version).write(w, body)
  w.patchU32(0, w.sizeBytes - 4)
}

/** A client that asks for versions cannot know yet which header to expect: ApiVersions always has the first one. */
function hasResponseTags({ name, flexibleFrom }: Versions, version: number): boolean {
  return version >= flexibleFrom && name !== 'apiVersions'
}

function requireVersion({ name, key, min, max }: Versions, version: number): void {
  if (version >= min && version <= max) return
  throw new AppError('UNSUPPORTED', `version ${version} of Kafka's ${name}; use ${min} to ${max}`, {
    details: { apiKey: key, version, min, max },
  })
}
