import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Check } from 'typebox/value'
import type { Rate } from '#codec/transcoding.ts'
import { planJob } from '../plan/plan-job.ts'
import { planLive } from '../plan/plan-live.ts'
import { probeOf } from '../plan/probe.fixture.ts'
import { scenarioSchema, type Scenario } from '../scenario.ts'
import { parseScenario } from './parse-scenario.ts'
import { presets } from './presets.ts'

for (const preset of presets) {
  test(`preset ${preset.name} keeps to schema and rules, and can be planned`, () => {
    assert.ok(Check(scenarioSchema, preset))
    assert.deepEqual(parseScenario(preset), preset)
    assert.ok(planned(preset) > 0)
  })
}

test('presets have names of their own', () => {
  assert.equal(new Set(presets.map(({ name }) => name)).size, presets.length)
})

test('the presets that documents name are there', () => {
  const names = new Set(presets.map(({ name }) => name))
  const wanted =
    '4k60-h265 4k60-h265-hdr 4k30-h264 1080p60-h264 1080p30-h264 1080p30-h265 1080p30-av1 1080p30-vp9 720p30-h264 480p30-h264 480p30-av1 1080p30-h264-auto abr-ladder abr-ladder-h265 abr-ladder-av1 audio-only mp4-1080p mp4-720p thumbnails live-1080p30 live-720p30'
  assert.deepEqual(
    wanted.split(' ').filter((name) => !names.has(name)),
    [],
  )
})

for (const ladder of presets.filter(({ renditions }) => renditions.length > 1)) {
  test(`each rung of ${ladder.name} costs 1.4 to 2.6 times the one below`, () => {
    const ceilings = ladder.renditions.map(({ rate }) => ceilingOf(rate))
    for (const [index, ceiling] of ceilings.entries()) {
      const below = ceilings[index + 1]
      if (below === undefined) continue
      assert.ok(ceiling / below >= 1.4 && ceiling / below <= 2.6, `${ceiling} over ${below}`)
    }
  })
}

function planned(scenario: Scenario): number {
  if (scenario.kind === 'live') return planLive({ scenario }).task.cost
  return planJob({ jobId: 'j1', scenario, input: { source: { object: 'a' } }, probe: probeOf() }).tasks.length
}

function ceilingOf(rate: Rate): number {
  assert.equal(rate.mode, 'capped')
  return rate.maxBitsPerSecond
}
