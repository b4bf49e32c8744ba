import type { BoxWriter } from './box-writer.ts'

/** Handler, ISO/IEC 14496-12 §8.4.3. */
export function writeHandler(w: BoxWriter, kind: 'video' | 'audio'): void {
  w.fullBox('hdlr', 0, 0, () => {
    w.u32(0) // pre_defined
    w.ascii(kind === 'video' ? 'vide' : 'soun') // handler_type
    w.zeros(12) // reserved
    w.ascii(kind === 'video' ? 'VideoHandler\0' : 'SoundHandler\0') // name
  })
}

/** Media header of the kind and a data reference to this file, ISO/IEC 14496-12 §12.1.2, §12.2.2, §8.7.2. */
export function writeMediaInformation(w: BoxWriter, kind: 'video' | 'audio'): void {
  if (kind === 'video') {
    w.fullBox('vmhd', 0, 1, () => {
      w.u16(0) // graphicsmode
      w.zeros(6) // opcolor
    })
  } else {
    w.fullBox('smhd', 0, 0, () => {
      w.i16(0) // balance
      w.u16(0) // reserved
    })
  }
  w.box('dinf', () => {
    w.fullBox('dref', 0, 0, () => {
      w.u32(1) // entry_count
      w.fullBox('url ', 0, 1, () => {}) // media is in this file
    })
  })
}

/** The unity matrix: 1.0 in 16.16, and 1.0 in 2.30 at its end. */
export function writeMatrix(w: BoxWriter): void {
  for (const value of [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]) w.u32(value)
}
