import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** What one publisher has sent to the sink. */
export type SinkSession = { readonly path: string; sdp: string; packetCount: number; readonly socket: Socket }

export interface RtspSink extends AsyncDisposable {
  /** `rtsp://127.0.0.1:<port>` */
  readonly url: string
  /** One for each ANNOUNCE, in order; also those that have ended. */
  readonly sessions: readonly SinkSession[]
}

/** The least RTSP server that a publisher over TCP takes for real: says yes to everything and counts interleaved packets. */
export async function startRtspSink({ port = 0 } = {}): Promise<RtspSink> {
  const sessions: SinkSession[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    serve(socket, sessions)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const chosen = typeof address === 'object' ? address?.port : undefined
  return {
    url: `rtsp://127.0.0.1:${chosen}`,
    sessions,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
  }
}

function serve(socket: Socket, sessions: SinkSession[]): void {
  let bytes = Buffer.alloc(0)
  let session: SinkSession | undefined
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (let length = messageLength(bytes); length !== undefined; length = messageLength(bytes)) {
      const message = bytes.subarray(0, length)
      bytes = bytes.subarray(length)
      if (message[0] === interleavedMark) {
        if (session) session.packetCount += 1
        continue
      }
      const text = message.toString()
      const [method, url = ''] = text.split(' ')
      if (method === 'ANNOUNCE') {
        session = { path: new URL(url).pathname, sdp: text.slice(text.indexOf('\r\n\r\n') + 4), packetCount: 0, socket }
        sessions.push(session)
      }
      socket.write(reply(text))
    }
  })
}

const interleavedMark = 0x24

/** Bytes of the first message, `undefined` while it is incomplete. */
function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined
  const end = bytes[0] === interleavedMark ? 4 + bytes.readUInt16BE(2) : requestLength(bytes)
  return end !== undefined && end <= bytes.length ? end : undefined
}

function requestLength(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [, bodyLength = '0'] = /content-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd)) ?? []
  return headEnd + 4 + Number(bodyLength)
}

function reply(request: string): string {
  const header = (name: string) => new RegExp(`^${name}: *(.+)$`, 'im').exec(request)?.[1]?.trim()
  const transport = header('Transport')
  const lines = ['RTSP/1.0 200 OK', `CSeq: ${header('CSeq')}`, 'Session: 1', 'Public: OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN']
  if (transport) lines.push(`Transport: ${transport}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
