/** A grid of tiles in each sheet, filled row by row. */
export type Grid = {
  readonly columns: number
  readonly rows: number
  readonly tileWidth: number
  readonly tileHeight: number
}

export type TilePlace = { readonly sheet: number; readonly x: number; readonly y: number }

/** Where a tile is, in pixels of its sheet. */
export function tilePlace({ columns, rows, tileWidth, tileHeight }: Grid, tile: number): TilePlace {
  const inSheet = tile % (columns * rows)
  return {
    sheet: Math.floor(tile / (columns * rows)),
    x: (inSheet % columns) * tileWidth,
    y: Math.floor(inSheet / columns) * tileHeight,
  }
}

export function sheetName(sheet: number): string {
  return `thumbnails-${String(sheet).padStart(3, '0')}.jpg`
}

/** WebVTT whose cues are pictures for scrubbing: each names a part of a sheet by a spatial media fragment. */
export function renderStoryboard(
  grid: Grid,
  { tileCount, everyMs, durationMs }: { tileCount: number; everyMs: number; durationMs: number },
): string {
  const cues = Array.from({ length: tileCount }, (_, tile) => {
    const { sheet, x, y } = tilePlace(grid, tile)
    const endMs = Math.min((tile + 1) * everyMs, durationMs)
    const place = `${sheetName(sheet)}#xywh=${x},${y},${grid.tileWidth},${grid.tileHeight}`
    return `${vttTime(tile * everyMs)} --> ${vttTime(endMs)}\n${place}\n`
  })
  return ['WEBVTT\n', ...cues].join('\n')
}

function vttTime(ms: number): string {
  const whole = Math.round(ms)
  const [hours, minutes, seconds] = [3_600_000, 60_000, 1000].map((unit, index) => {
    const value = Math.floor(whole / unit)
    return String(index === 0 ? value : value % 60).padStart(2, '0')
  })
  return `${hours}:${minutes}:${seconds}.${String(whole % 1000).padStart(3, '0')}`
}
