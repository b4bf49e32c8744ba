import { readFileSync } from 'node:fs'

/** Whether this machine's processor has AVX-512, as far as its system says. */
export function hasAvx512(): boolean {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1').includes(' avx512')
  } catch {
    return false
  }
}
