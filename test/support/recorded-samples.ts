import { fragmentSamples, scanFragments } from '#formats/mp4/fragment-index.ts'
import { openFileSource } from '#live/recorder/file-source.ts'
import { readRecordedHead } from '#live/recorder/recorded-file.ts'

/** Decode times of the video samples in the whole parts of a recorded file, in milliseconds on the stream's timeline. */
export async function videoSampleTimes(path: string): Promise<number[]> {
  await using source = await openFileSource(path)
  const { init, mediaOffset } = await readRecordedHead(source)
  const times: number[] = []
  for await (const { moof, offset } of scanFragments(source, init, mediaOffset)) {
    for (const { track, samples } of fragmentSamples(moof, offset, init)) {
      if (track.kind !== 'video') continue
      for (const { dtsTicks } of samples) times.push((dtsTicks * 1000) / track.timescaleHz)
    }
  }
  return times
}
