import type { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'
import { MessageWriter, type MessageReader } from './message-bytes.ts'

/**
 * The words in which the messages of the Kafka protocol are declared: https://kafka.apache.org/protocol.html#protocol_types
 * A field is data; `message` turns it, once per version, into a reader and a writer.
 */

/** What a field is compiled for. Flexible versions (KIP-482) have compact lengths and tagged fields. */
export type At = { readonly version: number; readonly isFlexible: boolean }

/** How a field goes over the wire at one version. */
export type Wire<Out, In = Out> = {
  readonly read: (r: MessageReader) => Out
  readonly write: (w: MessageWriter, value: In) => void
}

/** The versions that have a field, what it reads as in the others, and the number of a tagged field. */
export type Presence<Out> = { readonly from: number; readonly to: number; readonly fallback: Out; readonly tag?: number }

/** A field of a message: reading gives `Out`, writing takes `In`, where `undefined` stands for the fallback. */
export type Field<Out, In = Out> = {
  readonly wire: (at: At) => Wire<Out, In>
  readonly presence?: Presence<Out>
}

/** What reading a field gives. */
export type ValueOf<F> = F extends { readonly wire: (at: At) => { readonly read: (r: MessageReader) => infer Out } } ? Out : never
/** What a field can be written from: members with a fallback may be left out. */
export type InputOf<F> = F extends { readonly wire: (at: At) => { readonly write: (w: MessageWriter, value: infer In) => void } }
  ? In
  : never

/** A whole message. `version` has been checked to be one that the API has. */
export type Message<Out, In = Out> = { readonly at: (version: number) => Wire<Out, In> }

/** Compiles a field for each version when that is first asked for. */
export function message<Out, In>(field: Field<Out, In>, flexibleFrom: number): Message<Out, In> {
  const wires = new Map<number, Wire<Out, In>>()
  return {
    at(version) {
      let wire = wires.get(version)
      if (wire === undefined) {
        wire = field.wire({ version, isFlexible: version >= flexibleFrom })
        wires.set(version, wire)
      }
      return wire
    },
  }
}

/** INT8. */
export const int8 = fixed<number>({ read: (r) => r.i8(), write: (w, value) => void w.i8(value) })
/** INT16. */
export const int16 = fixed<number>({ read: (r) => r.i16(), write: (w, value) => void w.i16(value) })
/** INT32. */
export const int32 = fixed<number>({ read: (r) => r.i32(), write: (w, value) => void w.i32(value) })
/** INT64, exact to 2^53; beyond that reading throws `MALFORMED`. */
export const int64 = fixed<number>({ read: (r) => r.i64(), write: (w, value) => void w.i64(value) })
/** BOOLEAN. */
export const bool = fixed<boolean>({ read: (r) => r.u8() !== 0, write: (w, value) => void w.u8(value ? 1 : 0) })

/** The id that stands for none. */
export const zeroUuid = '00000000-0000-0000-0000-000000000000'
/** UUID, as text. */
export const uuid = fixed<string>({
  read: (r) =>
    r
      .slice(16)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  write: (w, value) => void w.raw(uuidBytes(value)),
})

/** NULLABLE_STRING, COMPACT_NULLABLE_STRING. */
export const nullableString: Field<string | null> = {
  wire({ isFlexible }) {
    const length = isFlexible ? compactLength : int16Length
    return {
      read(r) {
        const lengthBytes = length.read(r)
        if (lengthBytes > maxStringBytes) throw malformed(r, `a string of ${lengthBytes} bytes`)
        return lengthBytes === nullLength ? null : r.utf8(lengthBytes)
      },
      write(w, value) {
        const lengthBytes = value === null ? nullLength : Buffer.byteLength(value)
        length.write(w, lengthBytes)
        if (value !== null) w.utf8(value, lengthBytes)
      },
    }
  },
}
/** STRING, COMPACT_STRING. */
export const string: Field<string> = notNull(nullableString)
/** STRING that may be null from a version on; before it, null is written as the empty string. */
export function stringNullableSince(from: number): Field<string | null> {
  return nullableSince(from, nullableString, '')
}

const nullableBytes: Field<Buffer | null> = {
  wire({ isFlexible }) {
    const length = isFlexible ? compactLength : int32Length
    return {
      read(r) {
        const lengthBytes = length.read(r)
        return lengthBytes === nullLength ? null : r.slice(lengthBytes)
      },
      write(w, value) {
        length.write(w, value === null ? nullLength : value.length)
        if (value !== null) w.raw(value)
      },
    }
  },
}
/** BYTES, COMPACT_BYTES: a view into the message. */
export const bytes: Field<Buffer> = notNull(nullableBytes)

/** RECORDS, COMPACT_RECORDS: record batches as they stand. Reads as a view into the message, is written from one buffer or several in a row. */
export const records: Field<Buffer | null, Buffer | readonly Buffer[] | null> = {
  wire(at) {
    const length = at.isFlexible ? compactLength : int32Length
    return {
      read: nullableBytes.wire(at).read,
      write(w, value) {
        if (value === null) return length.write(w, nullLength)
        const batches = Buffer.isBuffer(value) ? [value] : value
        let lengthBytes = 0
        for (const batch of batches) lengthBytes += batch.length
        length.write(w, lengthBytes)
        for (const batch of batches) w.bulk(batch)
      },
    }
  },
}

/** ARRAY, COMPACT_ARRAY. */
export function array<Out, In>(item: Field<Out, In>): Field<readonly Out[], readonly In[]> {
  return notNull(nullableArray(item))
}

/** Nullable ARRAY, COMPACT_ARRAY; before version `from`, null is written as the empty array. */
export function nullableArray<Out, In>(item: Field<Out, In>, from = 0): Field<readonly Out[] | null, readonly In[] | null> {
  const field: Field<readonly Out[] | null, readonly In[] | null> = {
    wire(at) {
      const length = at.isFlexible ? compactLength : int32Length
      const { read, write } = item.wire(at)
      return {
        read(r) {
          const count = length.read(r)
          if (count === nullLength) return null
          r.takeItems(count)
          const values: Out[] = []
          for (let i = 0; i < count; i++) values.push(read(r))
          return values
        },
        write(w, values) {
          length.write(w, values === null ? nullLength : values.length)
          if (values !== null) for (const value of values) write(w, value)
        },
      }
    },
  }
  return nullableSince(from, field, [])
}

/** A field that versions before `from` do not have: they read `fallback` and write nothing. */
export function since<Out, In>(from: number, field: Field<Out, In>, fallback: NoInfer<Out & In>): Field<Out, In | undefined> {
  return between(from, Number.POSITIVE_INFINITY, field, fallback)
}

/** A field that versions after `to` do not have. */
export function until<Out, In>(to: number, field: Field<Out, In>, fallback: NoInfer<Out & In>): Field<Out, In | undefined> {
  return between(0, to, field, fallback)
}

/** A field that only the versions `from` to `to` have, both included. */
export function between<Out, In>(
  from: number,
  to: number,
  field: Field<Out, In>,
  fallback: NoInfer<Out & In>,
): Field<Out, In | undefined> {
  return {
    presence: { from, to, fallback },
    wire(at) {
      const { read, write } = field.wire(at)
      return { read, write: (w, value) => write(w, value === undefined ? fallback : value) }
    },
  }
}

/** A tagged field, there from a flexible version on: left out of the message where its value is the fallback. */
export function tagged<Out, In>(
  tag: number,
  from: number,
  field: Field<Out, In>,
  fallback: NoInfer<Out & In>,
): Field<Out, In | undefined> {
  const { wire } = since(from, field, fallback)
  return { wire, presence: { from, to: Number.POSITIVE_INFINITY, fallback, tag } }
}

/** The same for a field without a natural fallback: null where it is left out. */
export function taggedOrNull<Out, In>(
  tag: number,
  from: number,
  field: Field<Out, In>,
): Field<Out | null, In | null | undefined> {
  return {
    presence: { from, to: Number.POSITIVE_INFINITY, fallback: null, tag },
    wire(at) {
      const { read, write } = field.wire(at)
      return { read, write: (w, value) => (value === undefined || value === null ? undefined : write(w, value)) }
    },
  }
}

type Fields = { readonly [name: string]: Field<unknown, never> }
type OptionalName<F extends Fields> = { [N in keyof F]: undefined extends InputOf<F[N]> ? N : never }[keyof F]
type StructValue<F extends Fields> = { readonly [N in keyof F]: ValueOf<F[N]> }
type StructInput<F extends Fields> = { readonly [N in Exclude<keyof F, OptionalName<F>>]: InputOf<F[N]> } & {
  readonly [N in OptionalName<F>]?: InputOf<F[N]>
}

/**
 * Fields one after the other, in flexible versions followed by the tagged ones.
 * The second signature is the one place where names and types part: inside, all fields are alike.
 */
export function struct<F extends Fields>(fields: F): Field<StructValue<F>, StructInput<F>>
export function struct(fields: Record<string, Field<unknown>>): Field<Struct> {
  return {
    wire(at) {
      const present = Object.entries(fields).filter(([, field]) => isPresent(field, at.version))
      const plain = present
        .filter(([, field]) => field.presence?.tag === undefined)
        .map(([name, field]) => ({ name, ...field.wire(at) }))
      // Cloned for each value: absent fields are there, and all values share one hidden class.
      const blank = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.presence?.fallback]))
      const tags = at.isFlexible ? tagSection(present.flatMap(([name, field]) => tagWire(name, field, at))) : undefined
      return {
        read(r) {
          const value: Struct = { ...blank }
          for (const { name, read } of plain) value[name] = read(r)
          tags?.read(r, value)
          return value
        },
        write(w, value) {
          for (const { name, write } of plain) write(w, value[name])
          tags?.write(w, value)
        },
      }
    },
  }
}

/** Passes over a section of tagged fields of which none is known. */
export function skipTags(r: Reader): void {
  for (let left = r.uvarint(); left > 0; left--) {
    r.uvarint() // tag
    r.skip(r.uvarint())
  }
}

type Struct = Record<string, unknown>
type TagSection = {
  readonly read: (r: MessageReader, into: Struct) => void
  readonly write: (w: MessageWriter, from: Struct) => void
}
type TagWire = Wire<unknown> & { readonly name: string; readonly tag: number; readonly fallback: unknown }

function tagSection(known: readonly TagWire[]): TagSection {
  if (known.length === 0) return { read: skipTags, write: (w) => void w.uvarint(0) }
  const ordered = known.toSorted((a, b) => a.tag - b.tag)
  const byTag = new Map(known.map((field) => [field.tag, field]))
  return {
    read(r, into) {
      for (let left = r.uvarint(); left > 0; left--) {
        const field = byTag.get(r.uvarint())
        const lengthBytes = r.uvarint()
        const end = r.pos + lengthBytes
        if (field === undefined || lengthBytes > r.remaining) {
          r.skip(lengthBytes)
          continue
        }
        into[field.name] = field.read(r)
        if (r.pos !== end) throw malformed(r, `a tagged field "${field.name}" that does not fill its ${lengthBytes} bytes`)
      }
    },
    write(w, from) {
      let count = 0
      for (const { name, fallback } of ordered) if (!isFallback(from[name], fallback)) count++
      w.uvarint(count)
      if (count === 0) return
      for (const { name, tag, fallback, write } of ordered) {
        if (isFallback(from[name], fallback)) continue
        const payload = new MessageWriter()
        write(payload, from[name])
        w.uvarint(tag).uvarint(payload.pos).raw(payload.finish())
      }
    },
  }
}

function tagWire(name: string, field: Field<unknown>, at: At): TagWire[] {
  const { tag, fallback } = field.presence ?? {}
  return tag === undefined ? [] : [{ name, tag, fallback, ...field.wire(at) }]
}

function isPresent({ presence }: Field<unknown>, version: number): boolean {
  return presence === undefined || (version >= presence.from && version <= presence.to)
}

function isFallback(value: unknown, fallback: unknown): boolean {
  return value === undefined || value === fallback || (Array.isArray(value) && value.length === 0 && Array.isArray(fallback))
}

function fixed<T>(wire: Wire<T>): Field<T> {
  return { wire: () => wire }
}

function notNull<Out, In>(field: Field<Out | null, In | null>): Field<Out, In> {
  return {
    wire(at) {
      const { read, write } = field.wire(at)
      return {
        read(r) {
          const value = read(r)
          if (value === null) throw malformed(r, 'null where it is not allowed')
          return value
        },
        write,
      }
    },
  }
}

function nullableSince<Out, In>(
  from: number,
  field: Field<Out | null, In | null>,
  empty: NoInfer<In>,
): Field<Out | null, In | null> {
  return {
    wire(at) {
      if (at.version >= from) return field.wire(at)
      const { read, write } = notNull(field).wire(at)
      return { read, write: (w, value) => write(w, value ?? empty) }
    },
  }
}

const nullLength = -1
/** As in every Kafka: the length of a string is a signed 16-bit number, also where it is written compact. */
const maxStringBytes = 0x7fff

const int16Length: Wire<number> = {
  read: (r) => checkedLength(r, r.i16()),
  write(w, length) {
    if (length > maxStringBytes)
      throw new AppError('LIMIT_EXCEEDED', `a string of ${length} bytes; Kafka has at most ${maxStringBytes}`)
    w.i16(length)
  },
}
const int32Length: Wire<number> = { read: (r) => checkedLength(r, r.i32()), write: (w, length) => void w.i32(length) }
/** Compact lengths are one more than the length; 0 is null. */
const compactLength: Wire<number> = { read: (r) => r.uvarint() - 1, write: (w, length) => void w.uvarint(length + 1) }

function checkedLength(r: Reader, length: number): number {
  if (length < nullLength) throw malformed(r, `a length of ${length}`)
  return length
}

function malformed(r: Reader, what: string): AppError {
  return new AppError('MALFORMED', `Kafka message with ${what} before offset ${r.pos}`)
}

function uuidBytes(text: string): Buffer {
  const value = Buffer.from(text.replaceAll('-', ''), 'hex')
  if (value.length !== 16) throw new AppError('MALFORMED', `"${text}" is not a UUID`)
  return value
}
