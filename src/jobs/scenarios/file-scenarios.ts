/** `[[scenarios]]` of the configuration file. */
import { Type, type Static } from 'typebox'
import type { Finding } from '#lib/config/validate.ts'
import { renditionSchema, scenarioSchema, type Scenario } from '../scenario.ts'
import { findScenarioProblems, parseScenario } from './parse-scenario.ts'
import { presets } from './presets.ts'

const closed = { additionalProperties: false } as const

/** The configuration knows no unions: a rate is one table, and which keys belong to its mode is a rule. */
const fileRateSchema = Type.Object(
  {
    mode: Type.Enum(['crf', 'capped', 'average']),
    crf: Type.Optional(Type.Number({ minimum: 0, maximum: 63 })),
    bitsPerSecond: Type.Optional(Type.Integer({ minimum: 1000 })),
    maxBitsPerSecond: Type.Optional(Type.Integer({ minimum: 1000 })),
    bufferMs: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  closed,
)

const fileRenditionSchema = Type.Object(
  {
    ...renditionSchema.properties,
    height: Type.Integer({ minimum: 16, maximum: 8640 }),
    rate: fileRateSchema,
    maxFrameRate: Type.Optional(Type.Number({ minimum: 1, maximum: 240 })),
  },
  closed,
)

/** The list as the configuration has it. What it means is in `scenarioSchema`. */
export const scenariosSettingsSchema = Type.Array(
  Type.Object(
    {
      ...scenarioSchema.properties,
      renditions: Type.Array(fileRenditionSchema, {
        maxItems: 16,
        description:
          'Tables with name, height, codec, rate, and if wanted encoder, preset, bitDepth, maxFrameRate, allowUpscale; none: only sound.',
      }),
      verifyVmafSeconds: Type.Optional(
        Type.Number({
          minimum: 1,
          maximum: 600,
          description: 'Compare so many seconds of the first rendition with the source by VMAF, where a worker can.',
        }),
      ),
    },
    closed,
  ),
  {
    default: [],
    maxItems: 200,
    description: 'Ways to encode, besides the presets and those that are added by API. "millrace scenarios list" shows all.',
    examples: [
      [
        {
          name: 'house-720p',
          description: 'As our players want it',
          renditions: [
            {
              name: '720p',
              height: 720,
              codec: 'h264',
              rate: { mode: 'capped', crf: 22, maxBitsPerSecond: 3_000_000, bufferMs: 2000 },
            },
          ],
          audio: { codec: 'aac', bitsPerSecond: 128_000, channels: 2, sampleRate: 48_000, normalize: true },
        },
      ],
    ],
  },
)
type FileScenarios = Static<typeof scenariosSettingsSchema>

/** What is wrong with them, for the loader of the configuration. */
export function fileScenarioProblems(list: FileScenarios): Finding[] {
  const presetNames = new Set(presets.map(({ name }) => name))
  return list.flatMap((written, index): Finding[] => {
    const at = ['scenarios', index] as const
    const problems = findScenarioProblems(written).map(({ path, message }) => ({ path: [...at, ...path], message }))
    const isDoubled = list.findIndex(({ name }) => name === written.name) < index
    if (isDoubled)
      problems.push({ path: [...at, 'name'], message: `is "${written.name}", which another scenario has; give each its own` })
    if (presetNames.has(written.name)) {
      problems.push({ path: [...at, 'name'], message: `is "${written.name}", which is a preset; take another name` })
    }
    return problems
  })
}

/** For the registry, after the rules have passed. Throws `SCENARIO_INVALID` otherwise. */
export function fileScenarios(list: FileScenarios): readonly Scenario[] {
  return list.map(parseScenario)
}
