import type { Scenario } from '../scenario.ts'
import { ladderPresets } from './ladder-presets.ts'
import { livePresets } from './live-presets.ts'
import { singlePresets } from './single-presets.ts'

/** Scenarios that are always there. They may change with a version; a job keeps the one that it was planned with. */
export const presets: readonly Scenario[] = [...ladderPresets, ...singlePresets, ...livePresets]
