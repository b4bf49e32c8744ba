import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Fields that may hold a secret; their values never reach the log. */
const secretPaths = ['password', '*.password', 'authorization', '*.authorization', 'headers.authorization']

/** The program's logger: one JSON object a line on standard error, or lines for people when `pretty`. */
export function createLog({ level, pretty }: { level: LogLevel; pretty: boolean }): Logger {
  const options = { level, base: null, redact: { paths: secretPaths, censor: '(hidden)' } }
  if (!pretty) return pino(options, pino.destination({ dest: 2, sync: true }))
  return pino({
    ...options,
    transport: {
      target: 'pino-pretty',
      options: { destination: 2, colorize: process.stderr.isTTY, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' },
    },
  })
}

/** A URL as it may be logged or shown: user and password replaced. Text that is no URL comes back with `user:…@` cut out. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1***@')
}
