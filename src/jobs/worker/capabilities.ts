import type { EncoderList } from '#codec/transcoding.ts'

/** What a worker says that it can do, in the words in which tasks say what they need: `encoder:libx264`, `filter:libvmaf`. */
export function capabilitiesOf({ encoders, filters }: EncoderList): string[] {
  const all = [...encoders.map((name) => `encoder:${name}`), ...filters.map((name) => `filter:${name}`)]
  return [...new Set(all)].sort()
}
