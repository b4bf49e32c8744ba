const sectorBytes = 512

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }

/** A file of the simulated disk: what programs see, and what would be left after a power cut. */
export class SimFile {
  #content = new GrowingBytes()
  #durable = new GrowingBytes()
  /** Since the last sync, in order; writes in sectors. */
  #changes: Change[] = []

  get sizeBytes(): number {
    return this.#content.length
  }

  read(position: number, lengthBytes: number): Buffer {
    return this.#content.read(position, lengthBytes)
  }

  write(position: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + sectorBytes - ((position + at) % sectorBytes))
      this.#change({ kind: 'write', position: position + at, bytes: Buffer.from(bytes.subarray(at, end)) })
      at = end
    }
  }

  truncate(sizeBytes: number): void {
    this.#change({ kind: 'truncate', sizeBytes })
  }

  sync(): void {
    for (const change of this.#changes) this.#durable.apply(change)
    this.#changes = []
  }

  /** Some of what was to be synced is not on the disk, and will not be there after another sync either, but still is what programs read. */
  failSync(random: () => number): void {
    for (const change of this.#changes) if (random() < 0.5) this.#durable.apply(change)
    this.#changes = []
  }

  /** Any part of what was not synced is lost. */
  powerCut(random: () => number): void {
    const keptPart = [0, 0.2, 0.5, 0.9, 1][Math.floor(random() * 5)] ?? 0
    for (const change of this.#changes) if (random() < keptPart) this.#durable.apply(change)
    this.#changes = []
    this.#content = this.#durable.copy()
  }

  /** Whether all that was synced holds these bytes. */
  holdsDurably(bytes: Buffer): boolean {
    return this.#durable.includes(bytes)
  }

  corrupt(position: number): void {
    for (const bytes of [this.#content, this.#durable]) bytes.flip(position)
  }

  #change(change: Change): void {
    this.#content.apply(change)
    this.#changes.push(change)
  }
}

/** Bytes that grow where they are written to; what lies between is zero. */
class GrowingBytes {
  #bytes = Buffer.alloc(0)
  length = 0

  apply(change: Change): void {
    if (change.kind === 'write') this.#write(change.position, change.bytes)
    else this.#truncate(change.sizeBytes)
  }

  read(position: number, lengthBytes: number): Buffer {
    return Buffer.from(this.#bytes.subarray(position, Math.max(position, Math.min(this.length, position + lengthBytes))))
  }

  includes(bytes: Buffer): boolean {
    return this.#bytes.subarray(0, this.length).includes(bytes)
  }

  flip(position: number): void {
    const byte = this.#bytes[position]
    if (byte !== undefined) this.#bytes[position] = byte ^ 0xff
  }

  copy(): GrowingBytes {
    const copy = new GrowingBytes()
    copy.#write(0, this.#bytes.subarray(0, this.length))
    return copy
  }

  #write(position: number, bytes: Buffer): void {
    const end = position + bytes.length
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(end, 2 * this.#bytes.length))
      this.#bytes.copy(grown, 0, 0, this.length)
      this.#bytes = grown
    }
    bytes.copy(this.#bytes, position)
    this.length = Math.max(this.length, end)
  }

  #truncate(sizeBytes: number): void {
    if (sizeBytes < this.length) this.#bytes.fill(0, sizeBytes, this.length)
    else this.#write(sizeBytes, Buffer.alloc(0))
    this.length = sizeBytes
  }
}
