import { isLoopback } from '#lib/loopback.ts'
import type { KafkaSettings } from './settings.ts'

/** Where clients are told to connect to. */
export type Endpoint = { readonly host: string; readonly port: number }

/** A port that Millrace listens on. */
export type Listener = { readonly isTls: boolean; readonly port: number }

/**
 * What to tell a client that came over this listener to `localAddress`. Kafka clients connect again, to this address: if they cannot reach it they fail
 * although the first connection worked. Unless the settings say something, it is the address that has just worked.
 */
export function advertise(
  settings: Pick<KafkaSettings, 'host' | 'advertisedHost' | 'advertisedPort' | 'advertisedTlsPort'>,
  listener: Listener,
  localAddress: string | undefined,
): Endpoint {
  const port = (listener.isTls ? settings.advertisedTlsPort : settings.advertisedPort) ?? listener.port
  if (settings.advertisedHost !== undefined) return { host: settings.advertisedHost, port }
  if (!isWildcard(settings.host)) return { host: settings.host, port }
  return { host: (localAddress ?? settings.host).replace(/^::ffff:/i, ''), port }
}

/** What is likely to go wrong for clients on other machines, in words for the log. */
export function advertisedWarnings(settings: Pick<KafkaSettings, 'host' | 'advertisedHost'>): string[] {
  const { host, advertisedHost } = settings
  if (isLoopback(host)) return []
  if (advertisedHost === undefined) {
    if (!isWildcard(host)) return []
    return [
      `kafka.host is ${host} and kafka.advertisedHost is not set: clients are told the address of this machine that they connected to; behind NAT, in containers, or with TLS certificates for a name, set kafka.advertisedHost to what clients can reach`,
    ]
  }
  if (isLoopback(advertisedHost)) {
    return [
      `kafka.advertisedHost is ${advertisedHost} while kafka.host is ${host}: clients on other machines will be told to connect to themselves; set it to a name or address of this machine`,
    ]
  }
  if (isWildcard(advertisedHost)) {
    return [`kafka.advertisedHost is ${advertisedHost}, which nobody can connect to; set it to a name or address of this machine`]
  }
  return []
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '[::]'
}
