import { Type } from 'typebox'
import { scenarioParamsSchema, type ScenarioView } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'
import { formatPairs, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const scenariosShow = defineCommand({
  name: 'scenarios show',
  summary: 'Show one scenario',
  details: 'With --json it is what "millrace scenarios add" takes.',
  arguments: scenarioParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { name }, options, terminal, environment }) {
    const scenario = await new JobClient(openClient(options, environment)).getScenario(name)
    terminal.write(options.json ? `${JSON.stringify(scenario, null, 2)}\n` : describeScenario(scenario, terminal))
  },
})

const origins = { preset: 'comes with Millrace', file: 'the configuration file', api: 'added by API' } as const

function describeScenario(scenario: ScenarioView, terminal: Terminal): string {
  const { audio, chunkSeconds, hdr, verifyVmafSeconds } = scenario
  const pairs = formatPairs([
    ['name', terminal.color('bold', scenario.name)],
    ['', scenario.description],
    ['origin', origins[scenario.origin]],
    ['kind', scenario.kind === 'live' ? 'live: a stream in, a stream out' : undefined],
    ['format', scenario.format === 'cmaf' ? 'cmaf: HLS and DASH' : 'mp4: one file'],
    [
      'sound',
      audio &&
        `${audio.codec}, ${Math.round(audio.bitsPerSecond / 1000)} kbit/s, ${audio.channels} channels${audio.normalize ? ', normalized' : ''}`,
    ],
    ['chunks', chunkSeconds === 0 ? 'none: one piece' : `${chunkSeconds} s`],
    ['keyframes', `each ${scenario.gopSeconds} s`],
    ['segments', `${scenario.segmentSeconds} s`],
    ['deinterlace', scenario.deinterlace],
    ['HDR', hdr === 'keep' ? 'kept where the codec can' : 'dropped'],
    ['pictures', scenario.pictures ? 'poster, thumbnails, storyboard' : 'none'],
    ['VMAF', verifyVmafSeconds === undefined ? undefined : `of ${verifyVmafSeconds} s`],
  ])
  const rows = scenario.renditions.map(renditionRow)
  return rows.length === 0 ? pairs : `${pairs}\n${formatTable(columns, rows)}`
}

const columns = [
  { title: 'RENDITION' },
  { title: 'HEIGHT', align: 'right' },
  { title: 'CODEC' },
  { title: 'ENCODER' },
  { title: 'QUALITY' },
  { title: 'FPS', align: 'right' },
  { title: 'BITS', align: 'right' },
] as const

function renditionRow(rendition: ScenarioView['renditions'][number]): string[] {
  const { name, height, codec, encoder = '', preset = '', rate, maxFrameRate, bitDepth } = rendition
  return [
    name,
    String(height),
    codec,
    `${encoder} ${preset}`.trim(),
    rate.mode === 'average'
      ? kilobits(rate.bitsPerSecond)
      : `crf ${rate.crf}${rate.mode === 'capped' ? `, at most ${kilobits(rate.maxBitsPerSecond)}` : ''}`,
    maxFrameRate === undefined ? '' : `≤ ${maxFrameRate}`,
    String(bitDepth ?? 8),
  ]
}

function kilobits(bitsPerSecond: number): string {
  return `${Math.round(bitsPerSecond / 1000)} kbit/s`
}
