import type { AccessUnit } from '#formats/media/access-unit.ts'

/** A group of pictures larger than this is not kept: readers then wait for the next keyframe. */
const maxBytes = 64 * 1024 * 1024
const maxUnits = 20_000

/** All units since the last video keyframe, in the order they came, so that a reader starts at once. Empty for audio alone. */
export class GopCache {
  #units: AccessUnit[] = []
  #bytes = 0
  #isOpen = false

  get units(): readonly AccessUnit[] {
    return this.#units
  }

  add(unit: AccessUnit): void {
    if (unit.track.kind === 'video' && unit.isKeyframe) {
      this.clear()
      this.#isOpen = true
    }
    if (!this.#isOpen) return
    this.#units.push(unit)
    this.#bytes += unit.data.length
    if (this.#bytes > maxBytes || this.#units.length > maxUnits) this.clear()
  }

  clear(): void {
    this.#units = []
    this.#bytes = 0
    this.#isOpen = false
  }
}
