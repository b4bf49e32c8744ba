import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { keptRenditions, outputSize, pictureOf, shownSource } from './picture-size.ts'
import { renditionOf, videoOf } from './probe.fixture.ts'

const sizeAt = (video: Partial<SourceVideo>, height: number, allowUpscale = false): string => {
  const { width, height: lines } = outputSize(shownSource(videoOf(video), undefined), { height, allowUpscale })
  return `${width}×${lines}`
}

for (const [what, video, height, expected] of [
  ['1080p', {}, 1080, '1920×1080'],
  ['1080p', {}, 720, '1280×720'],
  ['1080p', {}, 480, '854×480'],
  ['1080p', {}, 432, '768×432'],
  ['1080p', {}, 2160, '1920×1080'],
  ['a wide film', { width: 1920, height: 800 }, 1080, '1920×800'],
  ['a standing phone', { width: 1080, height: 1920 }, 1080, '1080×1920'],
  ['a standing phone', { width: 1080, height: 1920 }, 720, '720×1280'],
  ['a turned phone', { rotationDegrees: 90 }, 720, '720×1280'],
  ['a picture on its head', { rotationDegrees: 180 }, 720, '1280×720'],
  ['PAL 16:9', { width: 720, height: 576, pixelAspect: { num: 64, den: 45 } }, 1080, '1024×576'],
  ['NTSC 4:3', { width: 720, height: 480, pixelAspect: { num: 8, den: 9 } }, 480, '640×480'],
  ['NTSC 16:9', { width: 720, height: 480, pixelAspect: { num: 32, den: 27 } }, 480, '854×480'],
  ['HDV', { width: 1440, height: 1080, pixelAspect: { num: 4, den: 3 } }, 720, '1280×720'],
  ['PAL 16:9, turned', { width: 720, height: 576, pixelAspect: { num: 64, den: 45 }, rotationDegrees: 270 }, 288, '288×512'],
  ['odd sides', { width: 641, height: 361 }, 1080, '640×360'],
  ['odd sides', { width: 639, height: 360 }, 360, '638×360'],
  ['a square', { width: 500, height: 500 }, 480, '480×480'],
  ['a banner', { width: 16_000, height: 1000 }, 1000, '8192×512'],
  ['DCI 4K', { width: 4096, height: 2160 }, 2160, '4096×2160'],
] as const) {
  test(`${what} at ${height} lines is ${expected}`, () => assert.equal(sizeAt(video, height), expected))
}

test('a picture is scaled up only where that is allowed', () => {
  const small = { width: 640, height: 360 }
  assert.equal(sizeAt(small, 720), '640×360')
  assert.equal(sizeAt(small, 720, true), '1280×720')
})

for (const [what, video] of [
  ['a picture of a few pixels', { width: 8, height: 8 }],
  ['a line', { width: 16_000, height: 20 }],
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => sizeAt(video, 1080),
      (error) => error instanceof AppError && error.code === 'UNSUPPORTED',
    )
  })
}

const sides = fc.integer({ min: 64, max: 8192 })
const videos = fc
  .record({
    width: sides,
    height: sides,
    pixelAspect: fc.constantFrom({ num: 1, den: 1 }, { num: 64, den: 45 }, { num: 8, den: 9 }, { num: 4, den: 3 }),
    rotationDegrees: fc.constantFrom<SourceVideo['rotationDegrees']>(0, 90, 180, 270),
  })
  .filter(({ width, height }) => width / height < 4 && height / width < 4)

test('sides are even and within limits, the aspect is kept within a pixel, and nothing grows', () => {
  const property = fc.property(
    videos,
    fc.integer({ min: 32, max: 2160 }).map((half) => half * 2),
    (video, lines) => {
      const shown = shownSource(videoOf(video), undefined)
      const { width, height } = outputSize(shown, { height: lines, allowUpscale: false })
      for (const side of [width, height]) assert.ok(side % 2 === 0 && side >= 16 && side <= 8192, `${width}×${height}`)
      const short = Math.min(width, height)
      const long = Math.max(width, height)
      assert.ok(short <= lines)
      assert.ok(short <= Math.min(shown.width, shown.height))
      assert.ok(long < Math.max(shown.width, shown.height) + 1)
      const aspect = Math.max(shown.width, shown.height) / Math.min(shown.width, shown.height)
      assert.ok(Math.abs(long - short * aspect) <= 1 + 1e-6, `${width}×${height} of ${shown.width}×${shown.height}`)
      if (shown.width !== shown.height && short !== long) assert.equal(width > height, shown.width > shown.height)
    },
  )
  fc.assert(property, { numRuns: 1000 })
})

test('a crop is of the upright picture, on even pixels', () => {
  const turned = videoOf({ rotationDegrees: 90 })
  const shown = shownSource(turned, { x: 1, y: 101, width: 1079, height: 801 })
  assert.deepEqual(shown, { width: 1078, height: 800, crop: { x: 0, y: 100, width: 1078, height: 800 } })
})

for (const [what, crop] of [
  ['beyond the right edge', { x: 1000, y: 0, width: 1000, height: 500 }],
  ['beyond the bottom', { x: 0, y: 600, width: 500, height: 500 }],
  ['of nothing', { x: 0, y: 0, width: 8, height: 8 }],
] as const) {
  test(`a crop ${what} is refused`, () => {
    assert.throws(
      () => shownSource(videoOf(), crop),
      (error) => error instanceof AppError && error.code === 'REQUEST_INVALID' && error.message.includes('1920×1080'),
    )
  })
}

const ladder = [1080, 720, 540, 360].map((height) => renditionOf({ name: `${height}p`, height }))
for (const [what, size, names] of [
  ['1080p keeps all', { width: 1920, height: 1080 }, '1080p 720p 540p 360p'],
  ['720p loses those above', { width: 1280, height: 720 }, '720p 540p 360p'],
  ['a wide film keeps the rung above, for the next would lose lines', { width: 1920, height: 800 }, '1080p 720p 540p 360p'],
  ['a film of 730 lines does not', { width: 1300, height: 730 }, '720p 540p 360p'],
  ['a standing picture counts by its short side', { width: 720, height: 1280 }, '720p 540p 360p'],
  ['a tiny source keeps one', { width: 320, height: 180 }, '360p'],
] as const) {
  test(`of a ladder, ${what}`, () => {
    assert.equal(
      keptRenditions(ladder, size)
        .map(({ name }) => name)
        .join(' '),
      names,
    )
  })
}

test('of two rungs of one height above the source the cheaper is kept', () => {
  const capped = (maxBitsPerSecond: number) => ({ mode: 'capped', crf: 21, maxBitsPerSecond, bufferMs: 2000 }) as const
  const rungs = [renditionOf({ name: 'high', rate: capped(8_000_000) }), renditionOf({ name: 'low', rate: capped(5_000_000) })]
  assert.deepEqual(
    keptRenditions(rungs, { width: 640, height: 360 }).map(({ name }) => name),
    ['low'],
  )
})

test('each codec keeps a rung', () => {
  const rungs = [renditionOf({ name: 'a' }), renditionOf({ name: 'b', codec: 'av1' })]
  assert.equal(keptRenditions(rungs, { width: 640, height: 360 }).length, 2)
})

test('a rung that may be scaled up is always kept', () => {
  const rungs = [renditionOf({ name: 'big', height: 2160, allowUpscale: true }), renditionOf({ height: 360 })]
  assert.equal(keptRenditions(rungs, { width: 640, height: 360 }).length, 2)
})

for (const [fieldOrder, wanted, expected] of [
  ['progressive', 'auto', false],
  ['top-first', 'auto', true],
  ['bottom-first', 'never', false],
  ['progressive', 'always', true],
] as const) {
  test(`a ${fieldOrder} source with deinterlace "${wanted}" is ${expected ? '' : 'not '}deinterlaced`, () => {
    const video = videoOf({ fieldOrder })
    const shown = shownSource(video, undefined)
    const picture = pictureOf(video, { shown, size: { width: 2, height: 2 }, deinterlace: wanted, watermark: undefined })
    assert.equal(picture.deinterlace, expected)
  })
}
