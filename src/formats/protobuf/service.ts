import type { Message } from './message.ts'
import type { Enumeration } from './types.ts'

/** A method of a service: what goes to the server and what comes back, once or as often as wanted. */
export type Method<Kind extends MethodKind = MethodKind, Request = unknown, Response = never> = {
  readonly kind: Kind
  readonly request: Message<Request, never>
  readonly response: Message<unknown, Response>
}
export type MethodKind = 'unary' | 'serverStream' | 'bidirectional'

export type Service<M extends Methods = Methods> = { readonly name: string; readonly methods: M }
export type Methods = { readonly [name: string]: Method }

/** A file of a package: what a `.proto` says, as data. */
export type ProtoFile = {
  /** Path by which clients import it. */
  readonly name: string
  readonly package: string
  readonly messages: readonly Pick<Message<unknown, never>, 'name' | 'fields'>[]
  readonly enumerations: readonly Pick<Enumeration<string>, 'name' | 'values'>[]
  readonly services: readonly Service[]
}

/** One message each way. */
export function unary<Request, Response>(
  request: Message<Request, never>,
  response: Message<unknown, Response>,
): Method<'unary', Request, Response> {
  return { kind: 'unary', request, response }
}

/** One message to the server, many back. */
export function serverStream<Request, Response>(
  request: Message<Request, never>,
  response: Message<unknown, Response>,
): Method<'serverStream', Request, Response> {
  return { kind: 'serverStream', request, response }
}

/** Many messages each way, each side at its own pace. */
export function bidirectional<Request, Response>(
  request: Message<Request, never>,
  response: Message<unknown, Response>,
): Method<'bidirectional', Request, Response> {
  return { kind: 'bidirectional', request, response }
}
