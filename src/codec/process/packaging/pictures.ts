import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Frame } from 'node-av/lib'
import type { PicturesFacts } from '#codec/packaging-orders.ts'
import type { Picture, PicturesOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { bufferOptions, FilterPipe } from '../transcode/filter-pipe.ts'
import { MediaInput } from '../transcode/media-input.ts'
import { PicturePipe } from '../transcode/picture-pipe.ts'
import { encodeJpeg, jpegColor, jpegPixelFormat, Planes } from './jpeg.ts'
import type { PackageRun } from './package.ts'
import { Stills } from './stills.ts'
import { renderStoryboard, sheetName, tilePlace, type Grid } from './storyboard.ts'

/** A source that gives nothing for this long is given up. */
const stallMs = 60_000
/** A result has 200 files at most, and tracks and playlists are among them. */
const maxSheets = 100

type Tiles = NonNullable<PicturesOrder['tiles']>

/**
 * Makes `poster.jpg` of the picture at `posterAtMs` of the timeline, and sheets of tiles with `storyboard.vtt`. Throws the
 * source's errors as `MediaInput` does, `REQUEST_INVALID` for tiles without end.
 */
export async function makePictures(order: PicturesOrder, { signal, nowMs, onProgress }: PackageRun): Promise<PicturesFacts> {
  const durationMs = (order.timeline.frameCount * order.timeline.frameRate.den * 1000) / order.timeline.frameRate.num
  const tileCount = order.tiles ? Math.ceil(durationMs / order.tiles.everyMs - 1e-9) : 0
  const startedMs = nowMs()
  const tell = (frames: number) =>
    onProgress({
      frames,
      totalFrames: 1 + tileCount,
      speed: (frames * durationMs) / (1 + tileCount) / Math.max(1, nowMs() - startedMs),
    })
  await using input = await MediaInput.open(order.sourceUrl, { signal, stallMs, onMoved: () => {} })
  using stills = new Stills(input, signal)
  const context: Context = { order, stills, durationMs, files: [] }
  if (order.tiles) await makeTiles(order.tiles, tileCount, context, tell)
  await makePoster(context)
  tell(1 + tileCount)
  return { files: context.files }
}

type Context = {
  readonly order: PicturesOrder
  readonly stills: Stills
  readonly durationMs: number
  readonly files: PicturesFacts['files']
}

async function makePoster(context: Context): Promise<void> {
  const { order, stills, durationMs } = context
  using pipe = stillPipe(order.picture, order.picture)
  const still = await stills.at(order.timeline.startMs + Math.min(order.posterAtMs, durationMs))
  await write('poster.jpg', 'image/jpeg', finished(still, order.picture, pipe, encodeJpeg), context)
}

async function makeTiles(tiles: Tiles, tileCount: number, context: Context, tell: (frames: number) => void): Promise<void> {
  const { order, stills, durationMs } = context
  const grid = gridOf(tiles, order.picture)
  const { everyMs } = tiles
  const perSheet = grid.columns * grid.rows
  if (tileCount > maxSheets * perSheet) {
    throw new AppError(
      'REQUEST_INVALID',
      `${tileCount} tiles do not fit into ${maxSheets} sheets of ${perSheet}; take them further apart`,
    )
  }
  using pipe = stillPipe(order.picture, { width: grid.tileWidth, height: grid.tileHeight })
  const width = grid.tileWidth * Math.min(grid.columns, tileCount)
  let sheet = new Planes(width, grid.tileHeight * grid.rows)
  for (let tile = 0; tile < tileCount; tile++) {
    const atMs = order.timeline.startMs + tile * everyMs
    // Any keyframe since the last tile will do: decoding to the millisecond would cost a group of pictures for each.
    const still = await stills.at(atMs, tile === 0 ? atMs : atMs - everyMs / 2)
    const place = tilePlace(grid, tile)
    const planes = finished(still, order.picture, pipe, (frame) => new Planes(grid.tileWidth, grid.tileHeight, frame.toBuffer()))
    sheet.put(planes, place.x, place.y)
    tell(tile + 1)
    if ((tile + 1) % perSheet !== 0 && tile + 1 < tileCount) continue
    await write(sheetName(place.sheet), 'image/jpeg', sheet.encode(place.y + grid.tileHeight), context)
    sheet = new Planes(width, grid.tileHeight * grid.rows)
  }
  await write('storyboard.vtt', 'text/vtt', Buffer.from(renderStoryboard(grid, { tileCount, everyMs, durationMs })), context)
}

function gridOf({ width, columns, rows }: Tiles, picture: Picture): Grid {
  const even = (value: number) => Math.max(2, 2 * Math.round(value / 2))
  return { columns, rows, tileWidth: even(width), tileHeight: even((width * picture.height) / picture.width) }
}

function stillPipe(picture: Picture, { width, height }: { width: number; height: number }): PicturePipe {
  const { watermark: _, ...plain } = picture
  return new PicturePipe(
    { picture: { ...plain, width, height }, color: jpegColor, pixelFormat: jpegPixelFormat, hasMark: false },
    undefined,
  )
}

/**
 * What becomes of a still when it went through the filters. Of an interlaced one the upper field is taken: its neighbours are far
 * away.
 */
function finished<T>(still: Frame, { deinterlace }: Picture, pipe: PicturePipe, use: (frame: Frame) => T): T {
  if (!deinterlace) return use(pipe.process(still))
  const filters = '[in]field=type=top,scale=w=iw:h=2*ih:flags=bicubic[out]'
  using whole = new FilterPipe('video', filters, { in: bufferOptions(still, { num: 1, den: 1000 }) })
  still.pts = 0n
  whole.push('in', still)
  return use(pipe.process(whole.pull() ?? still))
}

async function write(name: string, contentType: string, bytes: Buffer, { order, files }: Context): Promise<void> {
  await writeFile(join(order.outputDirectory, name), bytes)
  files.push({ name, sizeBytes: bytes.length, contentType })
}
