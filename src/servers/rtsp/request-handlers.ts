import { findHeader, rtspMethods, type RtspMethod, type RtspRequest } from '#formats/rtsp/message.ts'
import { parseSession, writeSession } from '#formats/rtsp/session-header.ts'
import { parseTransports, writeTransport } from '#formats/rtsp/transport.ts'
import { parseRequestTarget, trackControl } from '#formats/rtsp/url.ts'
import { describeSdpTracks } from '#formats/sdp/sdp-tracks.ts'
import { parseSdp } from '#formats/sdp/session-description.ts'
import { writeSdp } from '#formats/sdp/write-sdp.ts'
import { AppError } from '#lib/errors.ts'
import { streamNamePattern } from '#live/settings.ts'
import type { RtspConnection } from './connection.ts'
import type { RtspSession } from './context.ts'
import type { StreamAction } from './hub.ts'
import { PublishSession } from './publish-session.ts'
import { ReadSession } from './read-session.ts'
import { errorHeaders, type Reply } from './reply.ts'

type Handler = (connection: RtspConnection, request: RtspRequest) => Reply | Promise<Reply>

/** What each method does. Refusals are thrown; the connection turns them into a status. */
export const requestHandlers: Record<RtspMethod, Handler> = {
  OPTIONS: (connection, request) => {
    findSession(connection, request)?.touch()
    return { status: 200, headers: { Public: rtspMethods.join(', ') } }
  },
  DESCRIBE: describe,
  ANNOUNCE: announce,
  SETUP: setup,
  PLAY: play,
  PAUSE: pause,
  RECORD: record,
  GET_PARAMETER: getParameter,
  SET_PARAMETER: setParameter,
  TEARDOWN: teardown,
}

const streamNames = new RegExp(streamNamePattern)

async function describe(connection: RtspConnection, request: RtspRequest): Promise<Reply> {
  const name = streamNameOf(request)
  const refusal = authorize(connection, request, 'read', name)
  if (refusal) return refusal
  const { hub, feeds } = connection.context
  const stream = await hub.openForReading(name, { signal: connection.signal })
  const medias = feeds
    .of(stream)
    .describe()
    .map(({ trackId, description }) => ({ control: trackControl(trackId), description }))
  const headers = {
    'Content-Base': contentBase(request.url, name),
    'Content-Type': 'application/sdp',
    'Cache-Control': 'no-cache',
  }
  return { status: 200, headers, body: writeSdp({ name, medias }) }
}

function announce(connection: RtspConnection, request: RtspRequest): Reply {
  const name = streamNameOf(request)
  const refusal = authorize(connection, request, 'publish', name)
  if (refusal) return refusal
  if (connection.session) {
    throw new AppError(
      'RTSP_STATE_INVALID',
      `this connection has a session for "${connection.session.streamName}" already; TEARDOWN it first`,
    )
  }
  const tracks = describeSdpTracks(parseSdp(request.body.toString()))
  if (!tracks.some(({ kind }) => kind === 'usable')) {
    const found = tracks.map((track) => (track.kind === 'unusable' ? `${track.name} (${track.reason})` : track.name)).join(', ')
    throw new AppError(
      'CODEC_UNSUPPORTED',
      `nothing in the publication of "${name}" can be carried: ${found}; send H264, H265, AAC, Opus or G711`,
    )
  }
  const { context } = connection
  connection.session = new PublishSession({ context, link: connection, name, tracks, url: request.url })
  return { status: 200 }
}

async function setup(connection: RtspConnection, request: RtspRequest): Promise<Reply> {
  const offers = parseTransports(findHeader(request.headers, 'transport') ?? '')
  const session = findSession(connection, request)
  if (session instanceof PublishSession) {
    const transport = session.setup(request.url, offers)
    return { status: 200, headers: { ...sessionHeader(connection, session), Transport: writeTransport(transport) } }
  }
  const { path, trackId } = parseRequestTarget(request.url)
  if (session instanceof ReadSession && session.streamName === path) {
    const transport = session.setup(trackId, offers)
    return { status: 200, headers: { ...sessionHeader(connection, session), Transport: writeTransport(transport) } }
  }
  if (session)
    throw new AppError('RTSP_STATE_INVALID', `the session is for "${session.streamName}"; TEARDOWN it before another stream`)
  return setupNew(connection, request, { trackId, offers })
}

/** The first SETUP of a reader. */
async function setupNew(
  connection: RtspConnection,
  request: RtspRequest,
  { trackId, offers }: { trackId: number | undefined; offers: ReturnType<typeof parseTransports> },
): Promise<Reply> {
  const name = streamNameOf(request)
  const refusal = authorize(connection, request, 'read', name)
  if (refusal) return refusal
  const { context } = connection
  const stream = await context.hub.openForReading(name, { signal: connection.signal })
  if (connection.signal.aborted) throw new AppError('RTSP_STATE_INVALID', 'the client is gone')
  const session = new ReadSession({ context, stream, link: connection })
  try {
    const transport = session.setup(trackId, offers)
    connection.session = session
    return { status: 200, headers: { ...sessionHeader(connection, session), Transport: writeTransport(transport) } }
  } catch (error) {
    session.close('it could not be set up')
    throw error
  }
}

function play(connection: RtspConnection, request: RtspRequest): Reply {
  const session = requireSession(connection, request)
  if (!(session instanceof ReadSession)) throw new AppError('RTSP_STATE_INVALID', 'PLAY in a session that publishes; use RECORD')
  session.play()
  return {
    status: 200,
    headers: { ...sessionHeader(connection, session), Range: 'npt=now-' },
    afterwards: () => {
      session.release()
    },
  }
}

function pause(connection: RtspConnection, request: RtspRequest): Reply {
  const session = requireSession(connection, request)
  session.pause()
  return { status: 200, headers: sessionHeader(connection, session) }
}

function record(connection: RtspConnection, request: RtspRequest): Reply {
  const session = requireSession(connection, request)
  if (!(session instanceof PublishSession))
    throw new AppError('RTSP_STATE_INVALID', 'RECORD in a session that reads; ANNOUNCE first')
  session.record()
  return { status: 200, headers: sessionHeader(connection, session) }
}

/** Without parameters it says that the client is there; there are none to ask for. */
function getParameter(connection: RtspConnection, request: RtspRequest): Reply {
  const session = findSession(connection, request)
  return { status: 200, headers: session ? sessionHeader(connection, session) : {} }
}

function setParameter(connection: RtspConnection, request: RtspRequest): Reply {
  const session = findSession(connection, request)
  const headers = session ? sessionHeader(connection, session) : {}
  if (request.body.length === 0) return { status: 200, headers }
  return { status: 451, headers: { ...headers, ...errorHeaders('UNSUPPORTED', 'there are no parameters to set') } }
}

function teardown(connection: RtspConnection, request: RtspRequest): Reply {
  const session = requireSession(connection, request)
  session.close('the client asked for it')
  if (connection.session === session) connection.session = undefined
  return { status: 200, headers: { Session: session.id } }
}

/** The answer that refuses, or `undefined` when the client may. */
function authorize(connection: RtspConnection, request: RtspRequest, action: StreamAction, name: string): Reply | undefined {
  const { authenticator, context, log } = connection
  const failures = authenticator.failures
  const verdict = authenticator.check(request, action, name)
  if (verdict.kind === 'allowed') return undefined
  const isWrong = authenticator.failures > failures
  if (isWrong) context.counters.wrongPasswords += 1
  const fields = { stream: name, action, reason: verdict.reply.headers?.['Millrace-Error'] }
  // The first request of every client comes without credentials.
  if (isWrong || verdict.reply.status === 403) log.warn(fields, 'rtsp access refused')
  else log.debug(fields, 'rtsp credentials asked for')
  return verdict.reply
}

/** Throws `MALFORMED` when the path can be no stream's name. */
function streamNameOf(request: RtspRequest): string {
  const { path } = parseRequestTarget(request.url)
  if (path.length <= 128 && streamNames.test(path)) return path
  throw new AppError(
    'MALFORMED',
    `"${path.slice(0, 80)}" can be no stream's name; use letters, digits, ".", "_", "-" and "/" between elements`,
  )
}

/** The session that the request names, or that of the connection when it names none. Throws `RTSP_SESSION_NOT_FOUND`. */
function findSession(connection: RtspConnection, request: RtspRequest): RtspSession | undefined {
  const header = findHeader(request.headers, 'session')
  if (header === undefined) return connection.session
  const { id } = parseSession(header)
  if (connection.session?.id === id) return connection.session
  const session = connection.context.sessions.get(id)
  // Only the client's own machine may go on with a session that lost its connection.
  if (!session || session.remoteHost !== connection.remoteHost || !session.isOverUdp) {
    throw new AppError('RTSP_SESSION_NOT_FOUND', 'the session does not exist, or has timed out; SETUP a new one')
  }
  return session
}

function requireSession(connection: RtspConnection, request: RtspRequest): RtspSession {
  const session = findSession(connection, request)
  if (!session) throw new AppError('RTSP_STATE_INVALID', `${request.method} without a session; SETUP first`)
  session.touch()
  return session
}

function sessionHeader({ context }: RtspConnection, session: RtspSession): { Session: string } {
  session.touch()
  return { Session: writeSession({ id: session.id, timeoutSeconds: context.settings.sessionTimeoutSeconds }) }
}

/** Where track URLs are appended to: the stream's URL as the client wrote its host, without query. */
function contentBase(requestUrl: string, name: string): string {
  const origin = /^rtsps?:\/\/[^/?]*/i.exec(requestUrl)?.[0] ?? 'rtsp://localhost'
  return `${origin}/${name}/`
}
