import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '#lib/errors.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const runs = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 500)

/**
 * Fuzzes a parser from the inputs of its table cases: bytes flipped, cut, doubled and made up. The parser must return, or throw an
 * `AppError`; anything else fails the test and prints seed and input.
 */
export function fuzzBytes(name: string, cases: readonly Uint8Array[], parse: (input: Buffer) => unknown): void {
  test(`fuzz: ${name} returns or throws a coded error (seed ${seed})`, () => {
    fc.assert(
      fc.property(hostile(cases), (input) => {
        try {
          parse(input)
        } catch (error) {
          if (!(error instanceof AppError)) throw error
        }
      }),
      { seed, numRuns: runs },
    )
  })
}

/** The same for parsers of text. */
export function fuzzText(name: string, cases: readonly string[], parse: (input: string) => unknown): void {
  fuzzBytes(
    name,
    cases.map((text) => Buffer.from(text)),
    (input) => parse(input.toString()),
  )
}

function hostile(cases: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  if (cases.length === 0) return noise
  const edit = fc.record({
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
    kind: fc.constantFrom('set', 'cut', 'double', 'insert'),
  })
  const mutated = fc.tuple(fc.constantFrom(...cases), fc.array(edit, { maxLength: 8 })).map(([original, edits]) => {
    let bytes = Buffer.from(original)
    for (const { at, value, kind } of edits) bytes = applyEdit(bytes, bytes.length === 0 ? 0 : at % bytes.length, value, kind)
    return bytes
  })
  return fc.oneof({ weight: 1, arbitrary: noise }, { weight: 4, arbitrary: mutated })
}

function applyEdit(bytes: Buffer<ArrayBuffer>, at: number, value: number, kind: string): Buffer<ArrayBuffer> {
  switch (kind) {
    case 'cut':
      return bytes.subarray(0, at)
    case 'double':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at), bytes.subarray(at)]).subarray(0, 65_536)
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), Buffer.of(value), bytes.subarray(at)])
    default: {
      if (at < bytes.length) bytes[at] = value
      return bytes
    }
  }
}
