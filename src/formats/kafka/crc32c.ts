import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4) as an unsigned number. With the checksum of earlier bytes as `seed` it is the checksum of both
 * together.
 *
 * Native, 0.1 µs a call and then 6 GB/s at 1 KB, 15 GB/s at 150 KB. WebAssembly is twice as quick at 61 bytes and 8 times as slow at 150 KB;
 * `zlib.crc32` of Node is another polynomial.
 */
export function crc32c(bytes: Buffer, seed = 0): number {
  return nativeCrc32c(bytes, seed)
}
