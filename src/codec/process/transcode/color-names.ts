import type { Static } from 'typebox'
import type { colorSchema } from '#codec/transcoding.ts'

/** Colour of a picture, by FFmpeg's names; "unknown" where it is not said. */
export type Color = Static<typeof colorSchema>

// The numbers of H.273; holes are reserved.
const primaries =
  'reserved bt709 unknown reserved bt470m bt470bg smpte170m smpte240m film bt2020 smpte428 smpte431 smpte432'.split(' ')
const transfers =
  'reserved bt709 unknown reserved gamma22 gamma28 smpte170m smpte240m linear log100 log316 iec61966-2-4 bt1361e iec61966-2-1 bt2020-10 bt2020-12 smpte2084 smpte428 arib-std-b67'.split(
    ' ',
  )
const matrices = 'gbr bt709 unknown reserved fcc bt470bg smpte170m smpte240m ycgco bt2020nc bt2020c smpte2085'.split(' ')
const ranges = ['unknown', 'tv', 'pc'] as const

/** Libav's numbers for a picture's colour, as frames and codec parameters have them. */
export type ColorNumbers = {
  readonly colorPrimaries: number
  readonly colorTrc: number
  readonly colorSpace: number
  readonly colorRange: number
}

/** The names for libav's numbers. */
export function colorOf({ colorPrimaries, colorTrc, colorSpace, colorRange }: ColorNumbers): Color {
  return {
    primaries: nameAt(primaries, colorPrimaries),
    transfer: nameAt(transfers, colorTrc),
    matrix: nameAt(matrices, colorSpace),
    range: ranges[colorRange] ?? 'unknown',
  }
}

/** Whether the light is coded for HDR: PQ or HLG. */
export function isHdrTransfer(transfer: string): boolean {
  return transfer === 'smpte2084' || transfer === 'arib-std-b67'
}

function nameAt(names: readonly string[], number: number): string {
  const name = names[number]
  return name === undefined || name === 'reserved' ? 'unknown' : name
}
