import assert from 'node:assert/strict'

/** Each number is greater than the one before. */
export function assertGrowing(numbers: readonly number[], what: string): void {
  const at = numbers.findIndex((number, index) => index > 0 && number <= (numbers[index - 1] ?? -Infinity))
  assert.equal(at, -1, `${what} do not grow at ${at}: ${numbers.slice(Math.max(0, at - 3), at + 3).join(', ')}`)
}
