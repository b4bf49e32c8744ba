import type { Frame } from 'node-av/lib'

/** Seven rows of five dots, from the top. Only what a camera's name and the time of day need. */
const glyphs: Readonly<Record<string, string>> = {
  '0': '01110 10001 10011 10101 11001 10001 01110',
  '1': '00100 01100 00100 00100 00100 00100 01110',
  '2': '01110 10001 00001 00110 01000 10000 11111',
  '3': '11110 00001 00001 01110 00001 00001 11110',
  '4': '00010 00110 01010 10010 11111 00010 00010',
  '5': '11111 10000 11110 00001 00001 10001 01110',
  '6': '00110 01000 10000 11110 10001 10001 01110',
  '7': '11111 00001 00010 00100 01000 01000 01000',
  '8': '01110 10001 10001 01110 10001 10001 01110',
  '9': '01110 10001 10001 01111 00001 00010 01100',
  ':': '00000 00100 00100 00000 00100 00100 00000',
  '-': '00000 00000 00000 01110 00000 00000 00000',
  A: '01110 10001 10001 11111 10001 10001 10001',
  B: '11110 10001 10001 11110 10001 10001 11110',
  C: '01110 10001 10000 10000 10000 10001 01110',
  D: '11110 10001 10001 10001 10001 10001 11110',
  E: '11111 10000 10000 11110 10000 10000 11111',
  F: '11111 10000 10000 11110 10000 10000 10000',
  G: '01110 10001 10000 10111 10001 10001 01111',
  H: '10001 10001 10001 11111 10001 10001 10001',
  I: '01110 00100 00100 00100 00100 00100 01110',
  J: '00111 00010 00010 00010 00010 10010 01100',
  K: '10001 10010 10100 11000 10100 10010 10001',
  L: '10000 10000 10000 10000 10000 10000 11111',
  M: '10001 11011 10101 10101 10001 10001 10001',
  N: '10001 11001 10101 10011 10001 10001 10001',
  O: '01110 10001 10001 10001 10001 10001 01110',
  P: '11110 10001 10001 11110 10000 10000 10000',
  Q: '01110 10001 10001 10001 10101 10010 01101',
  R: '11110 10001 10001 11110 10100 10010 10001',
  S: '01111 10000 10000 01110 00001 00001 11110',
  T: '11111 00100 00100 00100 00100 00100 00100',
  U: '10001 10001 10001 10001 10001 10001 01110',
  V: '10001 10001 10001 10001 10001 01010 00100',
  W: '10001 10001 10001 10101 10101 11011 10001',
  X: '10001 01010 00100 00100 00100 01010 10001',
  Y: '10001 01010 00100 00100 00100 00100 00100',
  Z: '11111 00001 00010 00100 01000 10000 11111',
}
const rowCount = 7
/** Dots from one glyph to the next, which is also the distance of rows in the table. */
const advance = 6
const luma = { ink: 225, paper: 24 } as const
const grey = 128

/**
 * Writes white text on a dark box into a YUV 4:2:0 frame. Needs no font on the machine. Characters it does not know are blanks; what does
 * not fit is left out. `scale` is the size of a dot in pixels; all three numbers are even, as the colour planes have half the size.
 */
export function paintText(frame: Frame, text: string, { x, y, scale }: { x: number; y: number; scale: number }): void {
  if (frame.makeWritable() < 0) return
  const columns = Math.min(text.length * advance + 1, Math.floor((frame.width - x) / scale))
  const rows = Math.min(rowCount + 2, Math.floor((frame.height - y) / scale))
  const [lumaPlane, ...colourPlanes] = frame.data ?? []
  const [lumaStride = 0, colourStride = 0] = frame.linesize
  for (let row = 0; row < rows * scale; row++) {
    const start = (y + row) * lumaStride + x
    for (let column = 0; column < columns; column++) {
      const value = isInk(text, column - 1, Math.floor(row / scale) - 1) ? luma.ink : luma.paper
      lumaPlane?.fill(value, start + column * scale, start + (column + 1) * scale)
    }
    const colourStart = Math.floor((y + row) / 2) * colourStride + x / 2
    for (const plane of colourPlanes) plane.fill(grey, colourStart, colourStart + (columns * scale) / 2)
  }
}

function isInk(text: string, column: number, row: number): boolean {
  if (column < 0 || row < 0 || row >= rowCount) return false
  const dots = glyphs[text.charAt(Math.floor(column / advance))]
  return dots?.charAt(row * advance + (column % advance)) === '1'
}
