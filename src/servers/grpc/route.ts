import type { Method } from '#formats/protobuf/service.ts'
import type { Right } from './authenticator.ts'
import type { Call, Incoming } from './call.ts'
import type { GrpcContext } from './context.ts'

/** What a handler is given besides its request. */
export type At = { readonly call: Call; readonly context: GrpcContext }

/** A method as the server calls it. Whatever `run` throws is the status of the call; without, it ends well. */
export type Route = { readonly right: Right; readonly run: (at: At) => Promise<void> }

/** A method that has one message each way. */
export function unaryRoute<Request, Response>(
  { request, response }: Method<'unary', Request, Response>,
  right: Right,
  handle: (request: Request, at: At) => Promise<Response>,
): Route {
  return {
    right,
    async run(at) {
      const value = request.decode(await at.call.receiveOnly())
      await at.call.answer(response, await handle(value, at))
    },
  }
}

/** A method that answers one message with many. */
export function serverStreamRoute<Request, Response>(
  method: Method<'serverStream', Request, Response>,
  right: Right,
  handle: (request: Request, at: At, send: (value: Response) => Promise<void>) => Promise<void>,
): Route {
  return {
    right,
    async run(at) {
      const value = method.request.decode(await at.call.receiveOnly())
      await handle(value, at, (answer) => at.call.send(method.response, answer))
      at.call.finish()
    },
  }
}

/** The many messages of both sides. */
export type Conversation<Request, Response> = {
  /** `undefined`: the client has sent all. Throws what `Call.receive` does. */
  readonly receive: () => Promise<(Pick<Incoming, 'heldBytes'> & { readonly request: Request }) | undefined>
  /** Resolves when more may be sent. */
  readonly send: (value: Response) => Promise<void>
}

/** A method where both sides send as many messages as they like. */
export function bidirectionalRoute<Request, Response>(
  method: Method<'bidirectional', Request, Response>,
  right: Right,
  handle: (conversation: Conversation<Request, Response>, at: At) => Promise<void>,
): Route {
  return {
    right,
    async run(at) {
      const { call } = at
      const conversation: Conversation<Request, Response> = {
        async receive() {
          const incoming = await call.receive()
          return incoming && { request: method.request.decode(incoming.bytes), heldBytes: incoming.heldBytes }
        },
        send: (value) => call.send(method.response, value),
      }
      await handle(conversation, at)
      call.finish()
    },
  }
}
