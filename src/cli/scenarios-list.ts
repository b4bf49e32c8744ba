import { Type } from 'typebox'
import type { ScenarioView } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const scenariosList = defineCommand({
  name: 'scenarios list',
  summary: 'List the scenarios: named ways to encode',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only names with this in them' })),
  }),
  async run({ options, terminal, environment }) {
    const search = options.search?.toLowerCase() ?? ''
    const all = await new JobClient(openClient(options, environment)).listScenarios()
    const scenarios = all.filter(({ name }) => name.includes(search))
    if (options.json) return terminal.write(`${JSON.stringify(scenarios, null, 2)}\n`)
    terminal.write(
      formatTable(
        columns,
        scenarios.map((scenario) => rowOf(scenario, terminal)),
      ),
    )
  },
})

const columns = [
  { title: 'NAME' },
  { title: 'ORIGIN' },
  { title: 'FORMAT' },
  { title: 'RENDITIONS' },
  { title: 'SOUND' },
  { title: '' },
] as const

function rowOf(scenario: ScenarioView, terminal: Terminal): string[] {
  const { name, origin, kind, format, audio, description } = scenario
  return [
    name,
    origin,
    kind === 'live' ? 'live' : format,
    renditionsText(scenario),
    audio ? `${audio.codec} ${Math.round(audio.bitsPerSecond / 1000)}k` : '',
    terminal.color('dim', description),
  ]
}

/** `1080p 720p 480p h264`; codecs apart where they differ. */
function renditionsText({ renditions }: ScenarioView): string {
  const byCodec = Map.groupBy(renditions, ({ codec }) => codec)
  return [...byCodec].map(([codec, items]) => `${items.map(({ name }) => name).join(' ')} ${codec}`).join(', ')
}
