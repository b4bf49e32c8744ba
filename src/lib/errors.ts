/**
 * Every error thrown on purpose has a code from this table. Codes are stable: programs match on them.
 * `http` is the status that the API answers with; `meaning` is the line in `docs/errors.md`, which is generated from here.
 */
export const errorTable = {
  INTERNAL: { http: 500, meaning: 'A fault of Millrace itself. The log line with the same code has the cause.' },
  TRUNCATED: { http: 400, meaning: 'A message or file ends before what it announces.' },
  MALFORMED: { http: 400, meaning: 'A message or file does not follow its format.' },
  UNSUPPORTED: { http: 415, meaning: 'Valid input that asks for something Millrace does not do.' },
  LIMIT_EXCEEDED: { http: 413, meaning: 'Input above a named limit.' },
  TIMEOUT: { http: 504, meaning: 'Something did not happen in time.' },
  SHUTTING_DOWN: { http: 503, meaning: 'The process is stopping; try another node or later.' },

  REQUEST_INVALID: { http: 400, meaning: 'A request does not match its schema; `details` lists where.' },
  ROUTE_NOT_FOUND: { http: 404, meaning: 'No such route.' },
  RANGE_NOT_SATISFIABLE: { http: 416, meaning: 'The byte range asked for begins behind the end of the file.' },
  CLIENT_LIMIT: { http: 503, meaning: 'As many clients are connected to this as are allowed.' },
  UNAUTHORIZED: { http: 401, meaning: 'Credentials are missing or wrong.' },
  RATE_LIMITED: {
    http: 429,
    meaning: 'The client sends more requests than `api.requestsPerSecond`; `Retry-After` says when to go on.',
  },
  KEY_NOT_FOUND: { http: 404, meaning: 'No API key has this id, or it was revoked.' },
  KEY_EXISTS: { http: 409, meaning: 'An API key has this name already.' },
  KEY_EXPIRED: { http: 409, meaning: 'The API key has expired; a new secret would not make it valid.' },
  KEY_LIMIT: { http: 409, meaning: 'As many API keys exist as are allowed; revoke some first.' },
  FORBIDDEN: { http: 403, meaning: 'The credentials do not allow this.' },

  CONFIG_INVALID: { http: 400, meaning: 'The configuration has an error; the message names file, line, key and remedy.' },
  CONFIG_NOT_FOUND: { http: 400, meaning: 'The configuration file cannot be read.' },
  LISTEN_REFUSED: { http: 400, meaning: 'An address beyond loopback is configured while nothing protects it.' },
  LISTEN_FAILED: { http: 500, meaning: 'A port cannot be opened, most often because another program has it.' },

  PROFILING_DISABLED: { http: 409, meaning: 'Profiles are taken only while `profiling.enabled` is set.' },
  PROFILE_RUNNING: { http: 409, meaning: 'Another profile of the process is being taken or sent; repeat when it is over.' },
  PROFILE_TOO_LARGE: { http: 507, meaning: 'A heap snapshot would take more memory than is free; nothing was done.' },

  STREAM_NOT_FOUND: { http: 404, meaning: 'No stream has this name.' },
  STREAM_EXISTS: { http: 409, meaning: 'A stream with this name exists already.' },
  STREAM_IN_FILE: { http: 409, meaning: 'The stream is declared in the configuration file and can only be removed there.' },
  STREAM_BUSY: { http: 409, meaning: 'The stream already has a publisher.' },
  STREAM_OFFLINE: { http: 404, meaning: 'The stream has no picture now: nobody publishes and no source answers.' },
  STREAM_STOPPED: { http: 409, meaning: 'The stream is stopped; start it first.' },
  STREAM_LIMIT: { http: 503, meaning: 'The configured number of streams or readers is reached.' },
  HLS_DISABLED: { http: 409, meaning: 'The stream is not packaged for HLS.' },
  STREAM_NOT_PUBLISHABLE: { http: 409, meaning: 'The stream takes its picture from its own sources only.' },
  CODEC_UNSUPPORTED: { http: 415, meaning: 'A track has a codec that Millrace does not carry.' },

  HLS_FILE_NOT_FOUND: {
    http: 404,
    meaning: 'The HLS file is no longer, or never was, in the live window; load the playlist again.',
  },
  HLS_NOT_READY: { http: 503, meaning: 'A playlist or part did not come in time; ask again.' },
  METHOD_NOT_ALLOWED: {
    http: 405,
    meaning: 'The resource does not take this HTTP method; the Allow header lists those it takes.',
  },

  SOURCE_UNREACHABLE: { http: 502, meaning: 'A source did not answer, refused the connection, or closed it.' },
  SOURCE_REFUSED: { http: 502, meaning: 'A source answered with an error of its own, such as 401 or 404.' },
  SOURCE_SILENT: { http: 504, meaning: 'A source is connected but sends no media.' },

  RTSP_SESSION_NOT_FOUND: { http: 404, meaning: 'An RTSP request names a session that does not exist, or has timed out.' },
  RTSP_STATE_INVALID: {
    http: 409,
    meaning: 'An RTSP request that does not fit the state of its session, such as PLAY before SETUP.',
  },
  RTSP_TRANSPORT_UNSUPPORTED: { http: 415, meaning: 'An RTSP peer accepts none of the transports that are possible.' },

  RECORDING_NOT_FOUND: { http: 404, meaning: 'Nothing is recorded there.' },
  DISK_FULL: { http: 507, meaning: 'The disk has less free space than its floor, and nothing may be deleted.' },
  DISK_SLOW: { http: 507, meaning: 'The disk takes recordings more slowly than they come; parts were left out.' },
  DISK_FAILED: { http: 500, meaning: 'The disk refuses to read or write recordings for a reason other than space.' },
  RECORDING_OPEN: { http: 409, meaning: 'The file is being recorded; stop the recording or wait until it is closed.' },

  OBJECT_KEY_INVALID: { http: 400, meaning: 'A key that cannot name an object; the message says why.' },
  OBJECT_NOT_FOUND: { http: 404, meaning: 'No object has this key.' },
  OBJECT_EXISTS: { http: 409, meaning: 'An object with this key exists already.' },
  OBJECTS_UNAVAILABLE: { http: 503, meaning: 'The object store does not answer or refuses.' },
  DATABASE_UNAVAILABLE: { http: 503, meaning: 'The database does not answer or refuses.' },
  DATABASE_NEWER: { http: 500, meaning: 'The database was migrated by a newer Millrace.' },
  DATABASE_IN_USE: { http: 409, meaning: 'A server has the database open; what was asked needs it alone.' },

  BACKUP_NOT_FOUND: { http: 404, meaning: 'There is no such backup, or none from that time or before.' },
  BACKUP_DAMAGED: { http: 500, meaning: 'A backup is not what was written, or its database is damaged; use another one.' },
  BACKUP_TOOL_MISSING: { http: 500, meaning: 'A backup of PostgreSQL needs `pg_dump`, `pg_restore` and `psql` on the path.' },
  BACKUP_TOOL_FAILED: { http: 500, meaning: 'A tool of PostgreSQL failed; the message has what it said.' },

  TOPIC_NOT_FOUND: { http: 404, meaning: 'No topic has this name or id.' },
  TOPIC_EXISTS: { http: 409, meaning: 'A topic with this name exists already.' },
  TOPIC_INVALID: { http: 400, meaning: 'A topic name, setting or number of partitions that cannot be; the message says why.' },
  PARTITION_NOT_FOUND: { http: 404, meaning: 'The topic has no partition with this number.' },
  PARTITION_NOT_OWNED: {
    http: 503,
    meaning: 'The partition belongs to another agent now, or to none; look the owner up again and repeat.',
  },
  RECORD_BATCH_INVALID: {
    http: 400,
    meaning: 'A record batch that does not follow its format, or asks for what is not allowed.',
  },
  RECORD_BATCH_CORRUPT: { http: 400, meaning: 'The checksum of a record batch does not fit its bytes: they changed on the way.' },
  RECORD_BATCH_TOO_LARGE: { http: 413, meaning: 'A record batch above `maxMessageBytes` of its topic.' },
  OFFSET_OUT_OF_RANGE: { http: 416, meaning: 'The offset is before the first record that is kept, or behind the last.' },
  PRODUCER_SEQUENCE_GAP: { http: 409, meaning: 'Batches of an idempotent producer came in the wrong order; one is missing.' },
  PRODUCER_FENCED: { http: 409, meaning: 'A newer producer with the same id has taken over.' },
  LOG_UNAVAILABLE: {
    http: 503,
    meaning:
      'The event log cannot keep records now: its disk, object store or database is away. Nothing was acknowledged; repeat.',
  },
  LOG_FULL: { http: 507, meaning: 'The write-ahead log has reached its limit, or the disk its floor; nothing was taken.' },
  LOG_DAMAGED: {
    http: 500,
    meaning: 'Stored records do not fit their checksums. They are kept aside, never skipped in silence.',
  },
  LOG_NOT_EMPTY: {
    http: 409,
    meaning: 'A history can be rebuilt only in a database that has no topics and no objects of the log.',
  },

  GROUP_NOT_FOUND: { http: 404, meaning: 'No consumer group has this id.' },
  GROUP_INVALID: { http: 400, meaning: 'A group id, session timeout or protocol that cannot be; the message says why.' },
  GROUP_NOT_EMPTY: { http: 409, meaning: 'The group has members; it can be changed only when they have left.' },
  GROUP_LIMIT: { http: 503, meaning: 'As many groups, or members of one, exist as are allowed.' },
  GROUP_MEMBER_UNKNOWN: { http: 404, meaning: 'The group does not know this member (any more); join again.' },
  GROUP_MEMBER_ID_REQUIRED: { http: 409, meaning: 'Join again with the member id of this answer.' },
  GROUP_MEMBER_FENCED: { http: 409, meaning: 'Another member has taken over this instance id.' },
  GROUP_GENERATION_STALE: { http: 409, meaning: 'The group has moved on to another generation; join again.' },
  GROUP_REBALANCING: { http: 409, meaning: 'The group is rebalancing; join again.' },
  GROUP_PROTOCOL_MISMATCH: { http: 409, meaning: 'The member shares no assignment protocol with the others of its group.' },

  JOB_NOT_FOUND: { http: 404, meaning: 'No job has this id.' },
  JOB_STATE_INVALID: { http: 409, meaning: 'The job is in a state that does not allow this, such as a retry of one that runs.' },
  JOB_FAILED: { http: 500, meaning: 'A job that was waited for failed, timed out, was canceled or rejected.' },
  JOB_LIMIT: { http: 503, meaning: 'As many jobs wait as are allowed; repeat later.' },
  SCENARIO_NOT_FOUND: { http: 404, meaning: 'No scenario has this name.' },
  SCENARIO_EXISTS: { http: 409, meaning: 'A scenario has this name already; presets and those of the file cannot be replaced.' },
  SCENARIO_INVALID: { http: 400, meaning: 'A scenario asks for what cannot be; the message says where.' },
  NODE_NOT_FOUND: { http: 404, meaning: 'No node has this id.' },
  NODE_BUSY: { http: 409, meaning: 'The node is there and has tasks; drain it first.' },
  TASK_FENCED: { http: 409, meaning: 'The task belongs to another attempt now; what this one made does not count.' },
  INPUT_DAMAGED: {
    http: 500,
    meaning: 'A file that a task reads is missing, or is not the one that was written; it is made again.',
  },
  ENCODE_DAMAGED: {
    http: 500,
    meaning: 'What was encoded is not what was ordered: frames, times or bytes do not fit. Nothing was published.',
  },
  WORKER_OVERLOADED: { http: 503, meaning: 'A task was stopped because its process took more memory than its worker allows.' },

  CODEC_FAILED: { http: 500, meaning: 'The codec process failed, crashed, or hung and was ended.' },
  USAGE: { http: 400, meaning: 'The command line is not understood; `--help` after the command shows how to write it.' },
  OUTPUT_FAILED: { http: 500, meaning: 'The command line cannot write its output file; the message says why.' },
  API_UNREACHABLE: { http: 502, meaning: 'The command line, or a worker, could not reach the API.' },
} as const satisfies Record<string, { http: number; meaning: string }>

export type ErrorCode = keyof typeof errorTable

/** The one error type thrown on purpose. The message says what happened, to what, and what to do. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  /** Where exactly, for programs: field paths, limits, offsets. */
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { details?: Record<string, unknown> }) {
    super(message, options)
    this.code = code
    this.details = options?.details
  }

  get httpStatus(): number {
    return errorTable[this.code].http
  }
}

/** Whatever was thrown, as an `AppError`: unknown faults become `INTERNAL` with the original as cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  return new AppError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
}

/** The page `docs/errors.md`. */
export function errorDocument(): string {
  const rows = Object.entries(errorTable).map(([code, { http, meaning }]) => `| \`${code}\` | ${http} | ${meaning} |`)
  return [
    '# Error codes',
    '',
    'Every refusal and fault has one of these codes: in API answers as `{ "code", "message", "details"? }`, in log lines as `code`, in RTSP',
    'answers as the header `Millrace-Error`, in gRPC answers as the trailer `millrace-error`. Codes are stable; messages are for people and may',
    'change.',
    '',
    '| code | HTTP | meaning |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}
