import { DatabaseError } from 'pg'
import { AppError } from '#lib/errors.ts'

/** SQLSTATE classes and codes, PostgreSQL appendix A, that say the server is away or refuses this client. */
const unavailable = [
  '08', // connection_exception
  '28', // invalid_authorization_specification
  '3D000', // invalid_catalog_name: no such database
  '53', // insufficient_resources: too many connections, disk full, out of memory
  '57P', // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout
  '58', // system_error
  '25006', // read_only_sql_transaction: a standby
  '25P03', // idle_in_transaction_session_timeout
]

/** Thrown by `pg` itself, as plain errors without a code. */
const connectionMessage =
  /^(Connection terminated|timeout exceeded when|Client has encountered|Client was closed|Query read timeout|The server does not support SSL|SASL)/

/** Codes of the system (`ECONNREFUSED`) and of TLS (`UNABLE_TO_VERIFY_LEAF_SIGNATURE`). */
const connectionCode = /^(E[A-Z]+|ERR_(TLS|SSL)_.*|UNABLE_TO_.*|.*_CERT(_.*)?|CERT_.*)$/

/** What the server or the connection threw as a coded error; anything else, such as a violated constraint, as it is. */
export function translatePostgresError(error: unknown, target: string): unknown {
  if (error instanceof DatabaseError) return translateState(error, target)
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (!connectionCode.test(code) && !connectionMessage.test(error.message)) return error
  return new AppError(
    'DATABASE_UNAVAILABLE',
    `PostgreSQL ${target} does not answer: ${error.message || code}; check database.url and that the server runs`,
    { cause: error },
  )
}

function translateState(error: DatabaseError, target: string): unknown {
  const { code = '', message } = error
  if (code === '57014') {
    return new AppError('TIMEOUT', `PostgreSQL ${target} ended a query: ${message}`, { cause: error }) // query_canceled
  }
  if (!unavailable.some((prefix) => code.startsWith(prefix))) return error
  return new AppError('DATABASE_UNAVAILABLE', `PostgreSQL ${target} refuses (${code}): ${message}`, { cause: error })
}
