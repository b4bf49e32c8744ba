import { Type, type Static } from 'typebox'

/** The `[rtsp]` section. */
export const rtspSettingsSchema = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'Address to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 network, :: every network.',
    }),
    port: Type.Integer({ default: 8554, minimum: 0, maximum: 65_535, description: 'RTSP over TCP. 0 takes any free port.' }),
    rtpPort: Type.Integer({
      default: 8000,
      minimum: 0,
      maximum: 65_534,
      description: 'UDP port of RTP, an even number; RTCP takes the next one. 0 takes any free pair.',
    }),
    maxConnections: Type.Integer({ default: 2000, minimum: 1, description: 'RTSP connections at once; more are refused.' }),
    sessionTimeoutSeconds: Type.Integer({
      default: 60,
      minimum: 1,
      maximum: 3600,
      description:
        'A client that sends neither a request nor a report for this long is let go; told to clients as the session timeout.',
    }),
    publisherSilenceSeconds: Type.Number({
      default: 10,
      minimum: 0.1,
      maximum: 3600,
      description: 'A publisher that sends no media for this long is disconnected.',
    }),
    stalledReaderSeconds: Type.Number({
      default: 30,
      minimum: 0.1,
      maximum: 3600,
      description: 'A reader over TCP that takes no bytes at all for this long is disconnected.',
    }),
  },
  { additionalProperties: false },
)
export type RtspSettings = Static<typeof rtspSettingsSchema>
