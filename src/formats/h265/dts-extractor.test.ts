import assert from 'node:assert/strict'
import { test } from 'node:test'
import { H265DtsExtractor } from './dts-extractor.ts'
import { h265Pyramid } from './sample-streams.ts'
import { parseH265Sps } from './sps.ts'

const sps = parseH265Sps(h265Pyramid[0]?.nals[1] ?? Buffer.alloc(0))

test("decode times are the encoder's own", () => {
  const extractor = new H265DtsExtractor(90_000)
  extractor.configure(sps)
  assert.deepEqual(
    h265Pyramid.map(({ ptsTicks }) => extractor.next(ptsTicks)),
    h265Pyramid.map(({ dtsTicks }) => dtsTicks),
  )
})

test('without timing in the VUI only the first pictures are spaced by a guess', () => {
  const extractor = new H265DtsExtractor(90_000)
  const { framesPerSecond: _, ...untimed } = sps
  extractor.configure(untimed)
  const slower = h265Pyramid.map(({ ptsTicks, dtsTicks }) => ({ ptsTicks: ptsTicks * 2, dtsTicks: dtsTicks * 2 }))
  const found = slower.map(({ ptsTicks }) => extractor.next(ptsTicks))
  assert.deepEqual(
    found.slice(2),
    slower.slice(2).map(({ dtsTicks }) => dtsTicks),
  )
  assert.deepEqual(found.slice(0, 2), [-7200, -3600])
})
