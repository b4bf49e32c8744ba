import { Type } from 'typebox'

/** Flags of each command that talks to a server. */
export const apiOptions = {
  url: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Address of the server, with user and password or an API key if it wants them: http://user:password@host:3000, http://mrk_…@host:3000 (MILLRACE_URL; default http://127.0.0.1:3000)',
    }),
  ),
  authority: Type.Optional(
    Type.String({
      minLength: 1,
      placeholder: 'file',
      description: 'Own authority (CA), PEM, that signed the certificate of an https server (MILLRACE_API_AUTHORITY)',
    }),
  ),
  certificate: Type.Optional(
    Type.String({
      minLength: 1,
      placeholder: 'file',
      description: 'Client certificate, PEM, in place of user and password (MILLRACE_API_CERTIFICATE)',
    }),
  ),
  key: Type.Optional(
    Type.String({ minLength: 1, placeholder: 'file', description: 'Private key that belongs to it, PEM (MILLRACE_API_KEY)' }),
  ),
  json: Type.Boolean({ default: false, description: 'Print JSON for programs' }),
}

/** Flags that choose a stretch of time. */
export const rangeOptions = {
  from: Type.Optional(
    Type.String({ placeholder: 'time', description: 'Start: "2026-01-02 10:00", 10:00, ISO 8601, or "2h ago"' }),
  ),
  to: Type.Optional(Type.String({ placeholder: 'time', description: 'End; now when absent' })),
  last: Type.Optional(Type.String({ placeholder: 'duration', description: 'The last 15m, 2h, 1h30m, … before the end' })),
}
