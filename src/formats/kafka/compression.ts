import { createRequire } from 'node:module'
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type * as wasmUtils from '@platformatic/wasm-utils'
import { AppError } from '#lib/errors.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressSnappy } from './snappy.ts'

/** How the records of a batch are compressed; the position in this list is the number in bits 0 to 2 of its attributes. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

const require = createRequire(import.meta.url)

/** Loaded when first used: 10 MB that most processes never need. It only compresses; it does not get to see what comes from outside. */
function loadWasm(): typeof wasmUtils {
  return require('@platformatic/wasm-utils')
}

const compressors: Record<Compression, (bytes: Buffer) => Buffer> = {
  none: (bytes) => bytes,
  // The event loop waits for these: the lowest levels give 150 and 520 MB/s of JSON; both are
  // a third slower at their defaults, where gzip saves another 13 % and zstd nothing.
  gzip: (bytes) => gzipSync(bytes, { level: 1 }),
  // One bare block, not the stream of blocks that Java writes: the Java client, librdkafka and kafkajs all read both, others only this.
  snappy: (bytes) => loadWasm().snappyCompress(bytes),
  // One frame of independent blocks: the Java client refuses linked ones.
  lz4: (bytes) => loadWasm().lz4Compress(bytes),
  zstd: (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
}

const decompressors: Record<Compression, (bytes: Buffer, maxBytes: number) => Buffer> = {
  none: (bytes) => bytes,
  gzip: (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }),
  snappy: decompressSnappy,
  lz4: decompressLz4,
  zstd: (bytes, maxOutputLength) => zstdDecompressSync(bytes, { maxOutputLength }),
}

/** Compresses the records of a batch. */
export function compress(compression: Compression, bytes: Buffer): Buffer {
  return compressors[compression](bytes)
}

/**
 * Decompresses the records of a batch. Throws `LIMIT_EXCEEDED` above `maxBytes`, having allocated at most twice that; `RECORD_BATCH_INVALID` for what
 * was not compressed so; `UNSUPPORTED` for LZ4 with a dictionary.
 */
export function decompress(compression: Compression, bytes: Buffer, maxBytes: number): Buffer {
  try {
    return decompressors[compression](bytes, maxBytes)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    const { code } = error
    if (code === 'UNSUPPORTED') throw error
    if (code === 'LIMIT_EXCEEDED' || code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `records of a batch have more than ${maxBytes} bytes when decompressed; send smaller batches`
      throw new AppError('LIMIT_EXCEEDED', message, { cause: error })
    }
    throw new AppError('RECORD_BATCH_INVALID', `records of a batch are not ${compression} data: ${error.message}`, {
      cause: error,
    })
  }
}
