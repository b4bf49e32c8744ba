import { Writer } from '#bytes/writer.ts'

/** Writes ISO base media boxes (ISO/IEC 14496-12 §4.2): the size of each is filled in when its body is done. */
export class BoxWriter extends Writer {
  /** A box of the given four-character type. */
  box(type: string, body: () => void): void {
    const at = this.pos
    this.u32(0) // size
    for (let i = 0; i < 4; i++) this.u8(type.charCodeAt(i)) // type
    body()
    this.patchU32(at, this.pos - at)
  }

  /** A box with version and flags. */
  fullBox(type: string, version: number, flags: number, body: () => void): void {
    this.box(type, () => {
      this.u8(version) // version
      this.u24(flags) // flags
      body()
    })
  }
}
