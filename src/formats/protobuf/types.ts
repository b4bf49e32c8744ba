import { wireTypes, type ProtoReader } from './proto-reader.ts'
import type { ProtoWriter } from './proto-writer.ts'

/** What a type is called in a descriptor; `of` is the name of a message or an enumeration within its package. */
export type TypeName =
  | { readonly kind: 'int32' | 'int64' | 'uint32' | 'uint64' | 'bool' | 'string' | 'bytes' }
  | { readonly kind: 'message' | 'enum'; readonly of: string }

/** The name of a message or of an enumeration. */
export type NameOf<Kind extends 'message' | 'enum'> = { readonly kind: Kind; readonly of: string }

/** A type of fields: reading gives `Out`, writing takes `In`. */
export type Type<Out, In = Out> = {
  readonly name: TypeName
  readonly wireType: number
  readonly read: (r: ProtoReader) => Out
  readonly write: (w: ProtoWriter, value: In) => void
}

/** A type that has a value for what is absent. */
export type Scalar<T> = Type<T> & { readonly zero: T; readonly isZero: (value: T) => boolean }

/** The value of a type. */
export type ValueOf<T> = T extends { readonly read: (r: ProtoReader) => infer Out } ? Out : never
/** What a type is written from. */
export type InputOf<T> = T extends { readonly write: (w: ProtoWriter, value: infer In) => void } ? In : never

/** An enumeration; values are the names. What has no name throws `MALFORMED`. */
export type Enumeration<Name extends string> = Scalar<Name> & {
  readonly name: NameOf<'enum'>
  readonly values: Readonly<Record<Name, number>>
}

/** Outside 32 bits throws `MALFORMED`, where other readers drop bits. */
export const int32: Scalar<number> = {
  ...numeric('int32'),
  read: (r) => within(r, r.int(), { min: -(2 ** 31), max: 2 ** 31 - 1 }),
  write: (w, value) => w.int(value),
}
/** Exact to ±2^53; beyond that reading throws `MALFORMED`. */
export const int64: Scalar<number> = { ...numeric('int64'), read: (r) => r.int(), write: (w, value) => w.int(value) }
/** Outside 32 bits throws `MALFORMED`. */
export const uint32: Scalar<number> = {
  ...numeric('uint32'),
  read: (r) => within(r, r.uint(), { min: 0, max: 2 ** 32 - 1 }),
  write: (w, value) => w.uint(value),
}
/** Exact to 2^53; beyond that reading throws `MALFORMED`. */
export const uint64: Scalar<number> = { ...numeric('uint64'), read: (r) => r.uint(), write: (w, value) => w.uint(value) }

export const bool: Scalar<boolean> = {
  name: { kind: 'bool' },
  wireType: wireTypes.varint,
  zero: false,
  isZero: (value) => !value,
  read: (r) => r.uint() !== 0,
  write: (w, value) => w.u8(value ? 1 : 0),
}

/** UTF-8; what is none reads as U+FFFD. */
export const string: Scalar<string> = {
  name: { kind: 'string' },
  wireType: wireTypes.lengthDelimited,
  zero: '',
  isZero: (value) => value === '',
  read: (r) => r.text(),
  write(w, value) {
    const before = w.length
    w.text(value)
    w.uint(w.length - before)
  },
}

/** Reads as a view into the message. */
export const bytes: Scalar<Buffer> = {
  name: { kind: 'bytes' },
  wireType: wireTypes.lengthDelimited,
  zero: Buffer.alloc(0),
  isZero: (value) => value.length === 0,
  read: (r) => r.slice(),
  write(w, value) {
    w.raw(value)
    w.uint(value.length)
  },
}

/** Declares an enumeration by its names; the one with the number 0 comes first and stands for what is absent. */
export function enumeration<Name extends string>(name: string, values: Readonly<Record<Name, number>>): Enumeration<Name>
export function enumeration(name: string, values: Readonly<Record<string, number>>): Enumeration<string> {
  const byNumber = new Map(Object.entries(values).map(([text, number]) => [number, text]))
  const zero = byNumber.get(0) ?? ''
  return {
    name: { kind: 'enum', of: name },
    values,
    wireType: wireTypes.varint,
    zero,
    isZero: (value) => value === zero,
    read(r) {
      const number = r.int()
      const text = byNumber.get(number)
      if (text === undefined) throw r.malformed(`${number}, which is none of ${name},`)
      return text
    },
    write: (w, value) => w.int(values[value] ?? 0),
  }
}

function numeric(kind: 'int32' | 'int64' | 'uint32' | 'uint64'): Pick<Scalar<number>, 'name' | 'wireType' | 'zero' | 'isZero'> {
  return { name: { kind }, wireType: wireTypes.varint, zero: 0, isZero: (value) => value === 0 }
}

function within(r: ProtoReader, value: number, { min, max }: { min: number; max: number }): number {
  if (value < min || value > max) throw r.malformed(`${value}, which is not between ${min} and ${max},`)
  return value
}
