// A chunk between the encoder and the packager. It is no format for players: MP4 moves times below zero and rewrites parameter sets, Matroska rounds times
// to milliseconds, MPEG-TS has no AV1. Here everything comes back as it was.
//
//   'MRCHUNK1' | u32 length, description as JSON | packets | end
//   packet     = u32 size (1…) | u8 flags | i64 pts | i64 dts | u32 duration | data
//   end        = u32 0 | u32 number of packets | SHA-256 of all data

export const magic = 'MRCHUNK1'
export const packetHeadBytes = 25
export const packetFlags = { isKeyframe: 1 } as const
export const digestBytes = 32

/** One encoded frame (video) or block of samples (audio); times in the time base of its stream, on the timeline of the whole clip. */
export type ChunkPacket = {
  readonly pts: number
  readonly dts: number
  readonly durationTicks: number
  readonly isKeyframe: boolean
  /** Whoever reads or encodes packets one after the other has it only until it asks for the next one. */
  readonly data: Buffer
}

export type ChunkEnd = { readonly packetCount: number; readonly sizeBytes: number; readonly sha256: string }
