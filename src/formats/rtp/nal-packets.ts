/** Packet types beside single NAL units, RFC 6184 Table 3; the interleaved ones (STAP-B, MTAP, FU-B) are not taken. */
export const h264PacketTypes = { stapA: 24, fuA: 28 } as const

/** Packet types beside single NAL units, RFC 7798 §4.4; PACI (50) is not taken. */
export const h265PacketTypes = { aggregation: 48, fragmentation: 49 } as const

/** Bits of the FU header, RFC 6184 §5.8 and RFC 7798 §4.4.3. */
export const fuFlags = { start: 0x80, end: 0x40 } as const
