import { Type, type Static } from 'typebox'

/** What the API says of one object that somebody has a signed URL of; see `StorePlace`. */
export const objectPlaceSchema = Type.Object(
  {
    directory: Type.String({ description: 'Path on the machine of the server.' }),
    proof: Type.String({ description: 'What a file in the directory holds.' }),
    key: Type.String(),
    upload: Type.Optional(Type.Object({ uploadId: Type.String(), sizeBytes: Type.Integer({ minimum: 0 }) })),
  },
  { additionalProperties: false },
)
export type ObjectPlace = Static<typeof objectPlaceSchema>
