import { Type, type Static } from 'typebox'

/** The `[database]` section. */
export const databaseSettingsSchema = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Where state is kept: "sqlite:///absolute/path" on one machine, "postgres://user:password@host:5432/database" for a fleet; default is the file `millrace.sqlite` in the data directory.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** The `[objects]` section: a directory, or a bucket when `bucket` is set. */
export const objectsSettingsSchema = Type.Object(
  {
    directory: Type.Optional(
      Type.String({ minLength: 1, description: 'Directory for objects; default is `objects` in the data directory.' }),
    ),
    bucket: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'S3 bucket for objects in place of a directory; it must exist. Servers that share objects need one.',
      }),
    ),
    endpoint: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'URL of an S3 service other than AWS, such as "http://127.0.0.1:9000"; default is AWS in `region`.',
      }),
    ),
    region: Type.String({
      default: 'us-east-1',
      minLength: 1,
      description: 'S3 region; services other than AWS often ignore it.',
    }),
    pathStyle: Type.Boolean({
      default: true,
      description: 'Name the bucket in the path of URLs and not in the host; false for services that want the host.',
    }),
    accessKeyId: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'S3 access key; without it the environment, the shared AWS files or the role of the machine are asked.',
      }),
    ),
    secretAccessKey: Type.Optional(
      Type.String({ minLength: 1, secret: true, description: 'The secret that belongs to `accessKeyId`.' }),
    ),
  },
  { additionalProperties: false },
)
export type ObjectsSettings = Static<typeof objectsSettingsSchema>
