const seed = 0x9747_b28c
const multiplier = 0x5bd1_e995

/**
 * MurmurHash2 (32 bits, the seed of Kafka) as the Java client computes it for keys (`Utils.murmur2`): a signed number. A hash is made of shifts;
 * this is not a wire format.
 */
export function murmur2(key: Buffer): number {
  const length = key.length
  const whole = length - (length % 4)
  let hash = seed ^ length
  for (let at = 0; at < whole; at += 4) {
    hash = Math.imul(hash, multiplier) ^ Math.imul(scramble(key.readInt32LE(at)), multiplier)
  }
  if (whole < length) hash = Math.imul(hash ^ key.readUIntLE(whole, length - whole), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

function scramble(word: number): number {
  const product = Math.imul(word, multiplier)
  return product ^ (product >>> 24)
}

/** The partition of a key, the same one as the Java client and librdkafka's `murmur2` choose: the sign bit is cleared, never negated. */
export function partitionFor(key: Buffer, partitionCount: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitionCount
}
