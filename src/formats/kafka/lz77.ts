// What the block formats of LZ4 and Snappy share: output is made of literals and of repetitions of what was put out before.
// A loop is quicker than a call for the short pieces that both formats mostly consist of; the limits are where calls take over.

const loopedLiteralBytes = 24
const loopedRepeatBytes = 48
const loopedOverlapBytes = 512

/** Copies `length` bytes of the input. The caller has checked both ends. */
export function copyLiterals(input: Buffer, from: number, output: Buffer, to: number, length: number): void {
  if (length > loopedLiteralBytes) {
    input.copy(output, to, from, from + length)
    return
  }
  for (let i = 0; i < length; i++) output[to + i] = input[from + i] ?? 0
}

/** Repeats `length` bytes from `distance` bytes before; they may overlap, so that the repetition feeds itself. The caller has checked both ends. */
export function repeatBytes(output: Buffer, to: number, distance: number, length: number): void {
  const from = to - distance
  if (length <= (distance < length ? loopedOverlapBytes : loopedRepeatBytes)) {
    for (let i = 0; i < length; i++) output[to + i] = output[from + i] ?? 0
    return
  }
  for (let done = 0; done < length;) {
    const piece = Math.min(distance + done, length - done) // what lies between `from` and the end of what is done
    output.copyWithin(to + done, from, from + piece)
    done += piece
  }
}
