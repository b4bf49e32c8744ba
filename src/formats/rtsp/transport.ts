import { AppError } from '#lib/errors.ts'

/** Two numbers next to each other: RTP, RTCP. */
export type NumberPair = readonly [rtp: number, rtcp: number]

/** One alternative of a `Transport` header, RFC 2326 §12.39. */
export type Transport = {
  readonly protocol: 'tcp' | 'udp'
  readonly isMulticast: boolean
  readonly interleaved?: NumberPair
  readonly clientPorts?: NumberPair
  readonly serverPorts?: NumberPair
  readonly mode?: 'play' | 'record'
  /** Address that packets come from, where it is not the server's. */
  readonly source?: string
  readonly ssrc?: number
}

const maxAlternatives = 16

/**
 * The alternatives in the order of preference; ones with another profile than RTP/AVP are left out.
 * Throws `MALFORMED` when a parameter is unreadable, `LIMIT_EXCEEDED` with more than 16.
 */
export function parseTransports(header: string): Transport[] {
  const alternatives = splitOutsideQuotes(header, ',')
  if (alternatives.length > maxAlternatives) {
    throw new AppError(
      'LIMIT_EXCEEDED',
      `a Transport header has ${alternatives.length} alternatives, at most ${maxAlternatives} are read`,
    )
  }
  return alternatives.map(parseTransport).filter((transport) => transport !== undefined)
}

export function writeTransport(transport: Transport): string {
  const { protocol, isMulticast, interleaved, clientPorts, serverPorts, mode, source, ssrc } = transport
  return [
    protocol === 'tcp' ? 'RTP/AVP/TCP' : 'RTP/AVP',
    isMulticast ? 'multicast' : 'unicast',
    source === undefined ? undefined : `source=${source}`,
    interleaved && `interleaved=${interleaved.join('-')}`,
    clientPorts && `client_port=${clientPorts.join('-')}`,
    serverPorts && `server_port=${serverPorts.join('-')}`,
    ssrc === undefined ? undefined : `ssrc=${ssrc.toString(16).toUpperCase().padStart(8, '0')}`,
    mode && `mode=${mode}`,
  ]
    .filter((part) => part !== undefined)
    .join(';')
}

function parseTransport(text: string): Transport | undefined {
  const [specifier = '', ...parts] = splitOutsideQuotes(text, ';').map((part) => part.trim())
  const protocol = /^RTP\/AVPF?(?:\/(TCP|UDP))?$/i.exec(specifier)
  if (!protocol) return undefined
  const parameters = new Map<string, string>()
  for (const part of parts) {
    const at = part.indexOf('=')
    const name = (at < 0 ? part : part.slice(0, at)).trim().toLowerCase()
    parameters.set(
      name,
      at < 0
        ? ''
        : part
            .slice(at + 1)
            .trim()
            .replace(/^"|"$/g, ''),
    )
  }
  const interleaved = parsePair(parameters.get('interleaved'), 255)
  const clientPorts = parsePair(parameters.get('client_port'), 65_535)
  const serverPorts = parsePair(parameters.get('server_port'), 65_535)
  const mode = parseMode(parameters.get('mode'))
  const source = parameters.get('source')
  const ssrc = parameters.get('ssrc') ?? ''
  return {
    protocol: protocol[1]?.toUpperCase() === 'TCP' ? 'tcp' : 'udp',
    isMulticast: parameters.has('multicast'),
    ...(interleaved ? { interleaved } : {}),
    ...(clientPorts ? { clientPorts } : {}),
    ...(serverPorts ? { serverPorts } : {}),
    ...(mode ? { mode } : {}),
    ...(source ? { source } : {}),
    // Cameras pad it with blanks or write more digits than fit: then it says nothing.
    ...(/^[0-9a-f]{1,8}$/i.test(ssrc) ? { ssrc: Number.parseInt(ssrc, 16) } : {}),
  }
}

/** `4-5`; some write the first only, then the second is one more. */
function parsePair(text: string | undefined, max: number): NumberPair | undefined {
  if (text === undefined) return undefined
  const match = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(text)
  const first = Number(match?.[1])
  const second = match?.[2] === undefined ? first + 1 : Number(match[2])
  if (!match || first > max || second > max) {
    throw new AppError('MALFORMED', `"${text.slice(0, 40)}" in a Transport header is no pair of numbers up to ${max}`)
  }
  return [first, second]
}

/** `mode="PLAY"`; FFmpeg before 2012 wrote `receive` for `record`. */
function parseMode(text: string | undefined): Transport['mode'] {
  const mode = text?.toLowerCase() ?? ''
  if (mode.includes('record') || mode.includes('receive')) return 'record'
  return mode.includes('play') ? 'play' : undefined
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted
    if (text[at] !== separator || isQuoted) continue
    parts.push(text.slice(start, at))
    start = at + 1
  }
  parts.push(text.slice(start))
  return parts
}
