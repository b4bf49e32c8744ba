import { Type } from 'typebox'
import type { Loaded } from '#lib/config/load.ts'
import { showConfiguration } from '#lib/config/show.ts'
import { settingsSchema, type Settings } from '#roles/settings.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings, nodeOptions } from './node-options.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const validate = defineCommand({
  name: 'validate',
  summary: 'Check the configuration without starting anything',
  arguments: Type.Object({}),
  options: Type.Object({
    ...nodeOptions,
    show: Type.Boolean({
      default: false,
      description: 'Print each setting in force and where it comes from; secrets stay hidden',
    }),
    json: Type.Boolean({ default: false, description: 'Print JSON for programs' }),
  }),
  async run({ options, terminal, environment }) {
    const loaded = await loadNodeSettings(options, environment)
    if (options.json) writeJson(loaded, terminal, options.show)
    else if (options.show) writeTable(loaded, terminal)
    else terminal.write(describeValid(loaded))
  },
})

/** `millrace.toml is valid: 3 settings from the file, 1 from the environment, 42 by default`. */
export function describeValid({ file, origins }: Loaded<Settings>): string {
  const all = Object.values(origins)
  const count = (prefix: string): number => all.filter((origin) => origin.startsWith(prefix)).length
  const others = { environment: count('environment '), flag: count('flag '), default: count('default') }
  const fromFile = all.length - others.environment - others.flag - others.default
  const parts = [
    ...(file === undefined ? [] : [`${fromFile} settings from the file`]),
    ...(others.environment > 0 ? [`${others.environment} from the environment`] : []),
    ...(others.flag > 0 ? [`${others.flag} from the command line`] : []),
    `${others.default} by default`,
  ]
  return `${file ?? 'The configuration'} is valid: ${parts.join(', ')}\n`
}

function writeTable(loaded: Loaded<Settings>, terminal: Terminal): void {
  const rows = showConfiguration(settingsSchema, loaded).map(({ key, value, origin }) => {
    const isDefault = origin === 'default'
    return [key, JSON.stringify(value), isDefault ? terminal.color('dim', origin) : terminal.color('cyan', origin)]
  })
  terminal.write(formatTable([{ title: 'SETTING' }, { title: 'VALUE' }, { title: 'FROM' }], rows))
}

function writeJson(loaded: Loaded<Settings>, terminal: Terminal, isShown: boolean): void {
  const settings = isShown ? { settings: showConfiguration(settingsSchema, loaded) } : {}
  terminal.write(`${JSON.stringify({ file: loaded.file ?? null, isValid: true, ...settings }, null, 2)}\n`)
}
