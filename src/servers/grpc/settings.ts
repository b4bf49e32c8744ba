import { Type, type Static } from 'typebox'

/** The `[grpc]` section. */
export const grpcSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: 'Whether the event log is served over gRPC.' }),
    host: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'Address to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 network, :: every network.',
    }),
    port: Type.Integer({
      default: 50_051,
      minimum: 0,
      maximum: 65_535,
      description: 'gRPC over HTTP/2, with TLS when there is a certificate. 0 takes any free port.',
    }),
    maxConnections: Type.Integer({ default: 1000, minimum: 1, description: 'gRPC connections at once; more are refused.' }),
    maxMessageBytes: Type.Integer({
      default: 16_777_216,
      minimum: 65_536,
      maximum: 104_857_600,
      description: 'Largest message that is taken from a client.',
    }),
  },
  { additionalProperties: false },
)
export type GrpcSettings = Static<typeof grpcSettingsSchema>
