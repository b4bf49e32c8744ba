import { Type, type Static } from 'typebox'

/** The `[kafka]` section. */
export const kafkaSettingsSchema = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: 'Whether the event log is served to Kafka clients.' }),
    host: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'Address to listen on: 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 network, :: every network.',
    }),
    port: Type.Integer({
      default: 9092,
      minimum: 0,
      maximum: 65_535,
      description: 'Kafka protocol over TCP. 0 takes any free port.',
    }),
    tlsPort: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        description: 'Kafka protocol over TLS, besides the plain port; without it there is none. 0 takes any free port.',
      }),
    ),
    advertisedHost: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Name or address under which clients reach this machine; they are told to connect to it. Needed behind NAT and in containers. Without it they are told the address that they used.',
      }),
    ),
    advertisedPort: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'Port that clients are told, when it is not `port` that they reach.',
      }),
    ),
    advertisedTlsPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'The same for `tlsPort`.' })),
    maxConnections: Type.Integer({ default: 2000, minimum: 1, description: 'Kafka connections at once; more are refused.' }),
    maxFrameBytes: Type.Integer({
      default: 104_857_600,
      minimum: 65_536,
      maximum: 1_073_741_824,
      description: 'Largest request that is read; a larger one ends its connection.',
    }),
    maxInFlightBytes: Type.Integer({
      default: 67_108_864,
      minimum: 65_536,
      description:
        'Requests of one connection that are not answered yet; above this no more of them are read. One request may exceed it.',
    }),
    idleSeconds: Type.Number({
      default: 600,
      minimum: 0.1,
      maximum: 86_400,
      description: 'A client that asks nothing, or takes no bytes of its answers, for this long is disconnected.',
    }),
  },
  { additionalProperties: false },
)
export type KafkaSettings = Static<typeof kafkaSettingsSchema>
