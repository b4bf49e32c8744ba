import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'

const closed = { additionalProperties: false } as const

const seconds = Type.Integer({ minimum: 1, maximum: 120, default: 10, description: 'How long to look' })

/** What can be said of each kind of profile, with its defaults. */
export const profileOptions = {
  cpu: Type.Object({ seconds }, closed),
  allocations: Type.Object(
    {
      seconds,
      intervalBytes: Type.Integer({
        minimum: 1024,
        maximum: 16_777_216,
        default: 32_768,
        description: 'One sample for about so many bytes: fewer show more and cost more',
      }),
      objects: Type.Enum(['all', 'alive'], {
        default: 'all',
        description: 'What counts: all that is allocated meanwhile, or what of it is still alive at the end, which is what grows',
      }),
    },
    closed,
  ),
  heap: Type.Object({}, closed),
} as const

export type ProfileKind = keyof typeof profileOptions
type Order<Kind extends ProfileKind> = { readonly kind: Kind } & Readonly<Static<(typeof profileOptions)[Kind]>>

/** A profile as it is asked for. */
export type ProfileOrder = Order<'cpu'> | Order<'allocations'> | Order<'heap'>

const orders: { readonly [Kind in ProfileKind]: (query: object) => Order<Kind> } = {
  cpu: (query) => ({ kind: 'cpu', ...parse(profileOptions.cpu, query) }),
  allocations: (query) => ({ kind: 'allocations', ...parse(profileOptions.allocations, query) }),
  heap: (query) => ({ kind: 'heap', ...parse(profileOptions.heap, query) }),
}

/** The order that a query makes; numbers may be text as in a URL, and what is absent has its default. Throws `REQUEST_INVALID`. */
export function parseProfileOrder(kind: ProfileKind, query: object): ProfileOrder {
  return orders[kind](query)
}

export function isProfileKind(text: string): text is ProfileKind {
  return Object.hasOwn(profileOptions, text)
}

function parse<Schema extends TSchema>(schema: Schema, query: object): Static<Schema> {
  const value: unknown = Value.Convert(schema, Value.Default(schema, { ...query }))
  if (Value.Check(schema, value)) return value
  const [problem] = Value.Errors(schema, value)
  throw new AppError(
    'REQUEST_INVALID',
    `query${(problem?.instancePath ?? '').replaceAll('/', '.')} ${problem?.message ?? 'is wrong'}`,
  )
}
