import type { ChunkFacts, FrameRange, TranscodeProgress, VideoOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { ChunkCheck } from './chunk-check.ts'
import type { ChunkPacket } from './chunk-format.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Deinterlaced } from './deinterlaced.ts'
import { pixelFormatOf } from './encoder-options.ts'
import { placeFrames, timeMsOf } from './frame-timeline.ts'
import { MediaInput, type Run } from './media-input.ts'
import { Pauses } from './pauses.ts'
import { loadImage, PicturePipe } from './picture-pipe.ts'
import { VideoEncoding } from './video-encoding.ts'
import { VideoSource } from './video-source.ts'

/** What an order has around it that tells how far it is. */
export type OrderRun = Run & { readonly onProgress: (progress: Pick<TranscodeProgress, 'frames' | 'totalFrames'>) => void }

/** Pictures that a deinterlacer must have seen before one that counts. */
const deinterlaceFrames = 3

/**
 * Encodes one chunk. It decodes from the keyframe before, puts the pictures on the clip's timeline, encodes from the start of a GOP before the rolls to the
 * end of the post-roll, and keeps the packets of the chunk's own frames. It ends as soon as it has them all: what has come out of an encoder depends on nothing
 * that goes in later. Throws the source's errors as `MediaInput` does, `ENCODE_DAMAGED` when the
 * encoder made something else than what was ordered.
 */
export async function encodeVideo(order: VideoOrder, run: OrderRun): Promise<ChunkFacts> {
  const { picture, video, timeline } = order
  requireWholeGops(order)
  const { startFrame, pictureFrame, endFrame } = rolledRange(order)
  const mark = order.watermarkUrl === undefined ? undefined : await loadImage(order.watermarkUrl, run)
  const target = { picture, hasMark: mark !== undefined, color: video.color, pixelFormat: pixelFormatOf(video) }
  using pipe = new PicturePipe(target, mark)
  await using input = await MediaInput.open(order.sourceUrl, run)
  using source = new VideoSource(input, video.threads)
  using whole = picture.deinterlace ? new Deinterlaced(source, source.stream.timeBase) : undefined
  using encoding = new VideoEncoding({ video, width: picture.width, height: picture.height, frameRate: timeline.frameRate })
  await using writer = await ChunkWriter.open(order.outputPath, encoding.stream)
  const chunk = new ChunkCheck(order)
  const keep = async (packets: Iterable<ChunkPacket>) => {
    for (const packet of packets) {
      run.onMoved()
      if (!chunk.add(packet)) continue
      await writer.write(packet)
      run.onProgress({ frames: chunk.frameCount, totalFrames: chunk.totalFrames })
    }
  }
  await source.startAt(timeMsOf(pictureFrame - (whole ? deinterlaceFrames : 0), timeline))
  let nextFrame = startFrame
  const pauses = new Pauses(run.signal)
  for await (const placed of placeFrames(whole ?? source, timeline, { startFrame: pictureFrame, endFrame })) {
    const finished = pipe.process(placed.frame)
    // The first picture fills the still frames, too.
    for (; nextFrame < placed.endFrame && !chunk.isWhole; nextFrame++) {
      await keep(encoding.encode(finished, nextFrame))
      await pauses.next()
    }
    if (chunk.isWhole) break
  }
  if (!chunk.isWhole) await keep(encoding.finish())
  return chunk.facts(await writer.close())
}

/** Chunks that begin within a GOP would need a keyframe that one pass has not. */
function requireWholeGops({ range, video }: VideoOrder): void {
  if (range.startFrame % video.gopFrames === 0 && range.endFrame > range.startFrame) return
  const frames = `frames ${range.startFrame} to ${range.endFrame}`
  throw new AppError('REQUEST_INVALID', `a chunk of ${frames} does not begin with a GOP of ${video.gopFrames} frames`)
}

/**
 * The frames that are encoded, from the start of a GOP on; from `pictureFrame` on with their own pictures. The pictures of a chunk are then those of one pass,
 * while its bytes may differ where an encoder counts from its start: x264 fills up its last byte by the number of the picture, SVT-AV1 and x265 count pictures
 * in their headers.
 */
function rolledRange({ range, rolls, timeline, video }: VideoOrder): FrameRange & { readonly pictureFrame: number } {
  const gopStart = (frame: number): number => Math.floor(Math.max(0, frame) / video.gopFrames) * video.gopFrames
  const pictureFrame = gopStart(range.startFrame - rolls.preRollFrames)
  return {
    startFrame: gopStart(pictureFrame - rolls.stillFrames),
    pictureFrame,
    endFrame: Math.min(timeline.frameCount, range.endFrame + rolls.postRollFrames),
  }
}
