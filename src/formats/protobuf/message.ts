import { AppError, toAppError } from '#lib/errors.ts'
import { ProtoReader, wireTypes } from './proto-reader.ts'
import { ProtoWriter } from './proto-writer.ts'
import type { InputOf, NameOf, Scalar, Type, TypeName, ValueOf } from './types.ts'

/** How often a field is there: `optional` tells absent from zero. */
export type Label = 'plain' | 'optional' | 'repeated'

type Member<Out> = {
  /** Within a `oneof`; else the name is that of the property. */
  readonly name?: string
  readonly number: number
  readonly label: Label
  readonly type: TypeName
  readonly wireType: number
  /** A list of numbers in one length-delimited field. */
  readonly isPacked: boolean
  /** `before` is the value so far, made by `initial` or by this. (A method, for the sake of variance: `Out` goes in only where it came out.) */
  read(this: void, r: ProtoReader, before: Out): Out
}

/** A property of a message: one field, or a `oneof` of several. */
export type Property<Out, In = Out> = {
  readonly members: readonly Member<Out>[]
  readonly initial: () => Out
  /** Writes the value and its tag, or nothing. */
  readonly write: (w: ProtoWriter, value: In | undefined) => void
}

/** A field as descriptors have it. */
export type FieldRow = Pick<Member<unknown>, 'number' | 'label' | 'type'> & { readonly name: string; readonly oneof?: string }

/** A message: a type of fields, and what goes over the wire on its own. */
export type Message<Out, In = Out> = Type<Out, In> & {
  readonly name: NameOf<'message'>
  readonly fields: readonly FieldRow[]
  /** Throws `TRUNCATED` and `MALFORMED`, naming the message. Bytes in the value are views. */
  readonly decode: (bytes: Buffer) => Out
  readonly encode: (value: In) => Buffer
  /** Writes what `encode` returns in front of what the writer has. */
  readonly prepend: (w: ProtoWriter, value: In) => void
}

/** A field that is never absent: left out where it is zero, empty or false, and then reads so. */
export function field<T>(number: number, type: Scalar<T>): Property<T> {
  return single<T, T>(number, type, { label: 'plain', initial: () => type.zero, isLeftOut: type.isZero })
}

/** A field that may be absent; null is written like what is absent. */
export function optional<Out, In>(number: number, type: Type<Out, In>): Property<Out | undefined, In | null> {
  // Messages have nothing else that absence could be mistaken for.
  const label = type.name.kind === 'message' ? 'plain' : 'optional'
  const { members, write } = single<Out | undefined, In>(number, type, {
    label,
    initial: () => undefined,
    isLeftOut: () => false,
  })
  return { members, initial: () => undefined, write: (w, value) => write(w, value ?? undefined) }
}

/** A list. Numbers are written packed, and read both ways. */
export function repeated<Out, In>(number: number, type: Type<Out, In>): Property<Out[], readonly In[]> {
  const isPacked = type.wireType === wireTypes.varint
  const tag = number * 8 + (isPacked ? wireTypes.lengthDelimited : type.wireType)
  return {
    initial: () => [],
    members: [
      {
        number,
        label: 'repeated',
        type: type.name,
        wireType: type.wireType,
        isPacked,
        read(r, values) {
          values.push(type.read(r))
          return values
        },
      },
    ],
    write(w, values) {
      if (values === undefined || values.length === 0) return
      const before = w.length
      for (let index = values.length - 1; index >= 0; index--) {
        const value = values[index]
        if (value !== undefined) type.write(w, value)
        if (!isPacked) w.uint(tag)
      }
      if (!isPacked) return
      w.uint(w.length - before)
      w.uint(tag)
    },
  }
}

const noBytes = Buffer.alloc(0)

/** Where the messages of a list lie, unread. */
export class Spans {
  bytes: Buffer = noBytes
  readonly starts: number[] = []
  readonly ends: number[] = []

  get count(): number {
    return this.starts.length
  }
}

/** A list of messages that has its own reader, because there are many of them. */
export function unread<Out, In>(number: number, type: Message<Out, In>): Property<Spans, readonly In[]> {
  const { write } = repeated(number, type)
  return {
    initial: () => new Spans(),
    write,
    members: [
      {
        number,
        label: 'repeated',
        type: type.name,
        wireType: type.wireType,
        isPacked: false,
        read(r, spans) {
          const end = r.lengthEnd()
          spans.bytes = r.bytes
          spans.starts.push(r.pos)
          spans.ends.push(end)
          r.pos = end
          return spans
        },
      },
    ],
  }
}

type Choices = { readonly [name: string]: { readonly number: number; readonly type: Type<unknown, never> } }
type Chosen<C extends Choices> = { [N in keyof C]: { readonly kind: N; readonly value: ValueOf<C[N]['type']> } }[keyof C]
type Choice<C extends Choices> = { [N in keyof C]: { readonly kind: N; readonly value: InputOf<C[N]['type']> } }[keyof C]

type Picked = { readonly kind: string; readonly value: unknown }

/** One of several fields, or none; of more than one that came, the last. */
export function oneof<C extends Choices>(choices: C): Property<Chosen<C> | undefined, Choice<C>>
export function oneof(
  choices: Readonly<Record<string, { readonly number: number; readonly type: Type<unknown> }>>,
): Property<Picked | undefined, Picked> {
  return {
    initial: () => undefined,
    members: Object.entries(choices).map(([kind, { number, type }]) => ({
      name: kind,
      number,
      label: 'plain',
      type: type.name,
      wireType: type.wireType,
      isPacked: false,
      read: (r) => ({ kind, value: type.read(r) }),
    })),
    write(w, chosen) {
      const choice = chosen && choices[chosen.kind]
      if (!choice) return
      choice.type.write(w, chosen.value)
      w.uint(choice.number * 8 + choice.type.wireType)
    },
  }
}

type Properties = { readonly [name: string]: Property<unknown, never> }
type PropertyOut<P> = P extends { readonly initial: () => infer Out } ? Out : never
type PropertyIn<P> = P extends { readonly write: (w: ProtoWriter, value: infer In) => void } ? In : never
type MessageOut<P extends Properties> = { readonly [N in keyof P]: PropertyOut<P[N]> }
type MessageIn<P extends Properties> = { readonly [N in keyof P]?: PropertyIn<P[N]> }

/**
 * A message of these properties, in the order of their numbers; their names are those of the fields in camel case. An enumeration that belongs to a message has
 * its name before its own: `Outer.Inner`.
 * The second signature is the one place where names and types part: inside, all properties are alike.
 */
export function message<P extends Properties>(name: string, properties: P): Message<MessageOut<P>, MessageIn<P>>
export function message(name: string, properties: Readonly<Record<string, Property<unknown>>>): Message<Struct> {
  const entries = Object.entries(properties)
  const backwards = entries.toReversed()
  const byTag = readersByTag(entries)
  function read(r: ProtoReader): Struct {
    const value: Struct = {}
    for (const [property, { initial }] of entries) value[property] = initial()
    while (r.hasMore) {
      const tag = r.tag()
      const reader = byTag.get(tag)
      if (reader) reader(r, value)
      else skipUnknown(r, tag, byTag)
    }
    return value
  }
  function write(w: ProtoWriter, value: Struct): void {
    for (const [property, { write: writeProperty }] of backwards) writeProperty(w, value[property])
  }
  return {
    name: { kind: 'message', of: name },
    wireType: wireTypes.lengthDelimited,
    fields: entries.flatMap(([property, { members }]) => members.map((member) => fieldRow(property, member))),
    read(r) {
      const outerEnd = r.end
      r.end = r.lengthEnd()
      const value = read(r)
      r.end = outerEnd
      return value
    },
    write(w, value) {
      const before = w.length
      write(w, value)
      w.uint(w.length - before)
    },
    decode(bytes) {
      try {
        return read(new ProtoReader(bytes))
      } catch (thrown) {
        const error = toAppError(thrown)
        throw new AppError(error.code, `${name} cannot be read: ${error.message}`, { cause: thrown })
      }
    },
    encode(value) {
      const w = new ProtoWriter()
      write(w, value)
      return w.finish()
    },
    prepend: write,
  }
}

type Struct = Record<string, unknown>
type TagReader = (r: ProtoReader, into: Struct) => void

function single<Out, In>(
  number: number,
  type: Type<Out, In>,
  { label, initial, isLeftOut }: { label: Label; initial: () => Out; isLeftOut: (value: In) => boolean },
): Property<Out, In> {
  const tag = number * 8 + type.wireType
  return {
    initial,
    members: [{ number, label, type: type.name, wireType: type.wireType, isPacked: false, read: (r) => type.read(r) }],
    write(w, value) {
      if (value === undefined || isLeftOut(value)) return
      type.write(w, value)
      w.uint(tag)
    },
  }
}

function readersByTag(entries: readonly (readonly [string, Property<unknown>])[]): ReadonlyMap<number, TagReader> {
  const readers = new Map<number, TagReader>()
  for (const [property, { members }] of entries) {
    for (const { number, wireType, isPacked, read } of members) {
      const one: TagReader = (r, into) => {
        into[property] = read(r, into[property])
      }
      readers.set(number * 8 + wireType, one)
      if (!isPacked) continue
      readers.set(number * 8 + wireTypes.lengthDelimited, (r, into) => {
        const outerEnd = r.end
        for (r.end = r.lengthEnd(); r.hasMore;) one(r, into)
        r.end = outerEnd
      })
    }
  }
  return readers
}

/** Fields of a later version are passed over; a known one of another type is a mistake that would otherwise go unseen. */
function skipUnknown(r: ProtoReader, tag: number, known: ReadonlyMap<number, TagReader>): void {
  const wireType = tag % 8
  const number = (tag - wireType) / 8
  for (const other of Object.values(wireTypes)) {
    if (known.has(number * 8 + other)) throw r.malformed(`field ${number} in wire type ${wireType}`)
  }
  r.skip(wireType)
}

function fieldRow(property: string, { name, number, label, type }: Member<unknown>): FieldRow {
  if (name === undefined) return { name: snakeCase(property), number, label, type }
  return { name: snakeCase(name), number, label, type, oneof: snakeCase(property) }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
