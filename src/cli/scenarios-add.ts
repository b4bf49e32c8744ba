import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { parse } from 'smol-toml'
import { Type } from 'typebox'
import { isTable, type Table } from '#lib/config/tree.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'

export const scenariosAdd = defineCommand({
  name: 'scenarios add',
  summary: 'Add a scenario from a file, JSON or TOML',
  details: 'Begin with one that is there: millrace scenarios show 1080p30-h264 --json > mine.json. "-" reads standard input.',
  arguments: Type.Object({ file: Type.String({ minLength: 1 }) }),
  options: Type.Object({
    ...apiOptions,
    name: Type.Optional(Type.String({ minLength: 1, description: 'Its name, over that in the file' })),
    replace: Type.Boolean({ default: false, description: 'Replace the one that has this name' }),
  }),
  async run({ arguments: { file }, options, terminal, environment }) {
    // Where it came from is for the server to say.
    const { origin: _, name: written, ...rest } = await readScenario(file)
    const name = options.name ?? written
    if (typeof name !== 'string') throw new AppError('USAGE', `${file} does not name the scenario; add a name, or give --name`)
    const client = new JobClient(openClient(options, environment))
    const scenario = options.replace ? await client.replaceScenario(name, rest) : await client.createScenario({ name, ...rest })
    if (options.json) return terminal.write(`${JSON.stringify(scenario, null, 2)}\n`)
    terminal.write(`Scenario ${scenario.name} ${options.replace ? 'replaced' : 'added'}\n`)
  },
})

async function readScenario(file: string): Promise<Table> {
  const content = await readText(file)
  const value = content.trimStart().startsWith('{')
    ? parseAs(file, 'JSON', () => JSON.parse(content))
    : parseAs(file, 'TOML', () => parse(content))
  if (isTable(value)) return value
  throw new AppError('MALFORMED', `${file} holds no scenario; "millrace scenarios show <name> --json" shows how one looks`)
}

async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  } catch (cause) {
    throw new AppError('USAGE', `${file} cannot be read: ${toAppError(cause).message}`, { cause })
  }
}

function parseAs(file: string, format: string, parseText: () => unknown): unknown {
  try {
    return parseText()
  } catch (cause) {
    const [reason = ''] = toAppError(cause).message.split('\n')
    throw new AppError('MALFORMED', `${file} is no ${format}: ${reason}`, { cause })
  }
}
