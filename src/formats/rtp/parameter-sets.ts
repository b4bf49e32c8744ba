import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'

/**
 * What a parameter set in the stream means for a track that knows `known`: it repeats it, replaces it, is one more beside it (a
 * picture parameter set with another id), or is none. `parse` gives the id, always 0 for sets of which a track has one; it throws an
 * `AppError` at what is no such set.
 */
export function judgeParameterSet(
  known: Buffer | undefined,
  nal: Buffer,
  parse: (nal: Buffer) => number,
): 'same' | 'new' | 'additional' | 'invalid' {
  if (known?.equals(nal)) return 'same'
  try {
    const id = parse(nal)
    return known && parse(known) !== id ? 'additional' : 'new'
  } catch (error) {
    if (error instanceof AppError) return 'invalid'
    throw error
  }
}

/** `pic_parameter_set_id`: the first field in both codecs, ITU-T H.264 §7.3.2.2 and H.265 §7.3.2.3. Throws `TRUNCATED`, `MALFORMED`. */
export function pictureSetId(nal: Buffer, headerBytes: number): number {
  return new BitReader(nal.subarray(headerBytes)).ue()
}
