import { existsSync } from 'node:fs'
import { Type } from 'typebox'
import type { Environment, Loaded } from '#lib/config/load.ts'
import { checkListenAddresses, loadSettings, type Settings } from '#roles/settings.ts'
import { logLevels } from '#lib/log.ts'

/** Read when nobody names a file and it is there. */
const usualFile = 'millrace.toml'

/** Flags that choose and overrule the configuration. */
export const nodeOptions = {
  config: Type.Optional(
    Type.String({
      short: 'c',
      placeholder: 'file',
      minLength: 1,
      description: `Configuration file (MILLRACE_CONFIG; ${usualFile} here if there is one)`,
    }),
  ),
  data: Type.Optional(
    Type.String({ placeholder: 'directory', minLength: 1, description: 'Data directory, over server.dataDirectory' }),
  ),
  host: Type.Optional(
    Type.String({ placeholder: 'address', minLength: 1, description: 'Address of the HTTP server, over api.host' }),
  ),
  port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'Port of the HTTP server, over api.port' })),
  logLevel: Type.Optional(Type.Enum([...logLevels], { description: 'Least important kind of message, over logging.level' })),
  enableProfiling: Type.Optional(
    Type.Boolean({ description: 'Let administrators take CPU and heap profiles, over profiling.enabled' }),
  ),
}

type NodeOptions = {
  config?: string
  data?: string
  host?: string
  port?: number
  logLevel?: string
  enableProfiling?: boolean
}

/** The settings that the command line, the environment and the file make together; refused as `serve` would refuse them. */
export async function loadNodeSettings(options: NodeOptions, environment: Environment): Promise<Loaded<Settings>> {
  const { config, data, host, port, logLevel, enableProfiling } = options
  const loaded = await loadSettings({
    file: config ?? (environment['MILLRACE_CONFIG'] || (existsSync(usualFile) ? usualFile : undefined)),
    environment,
    flags: [
      { flag: '--data', key: 'server.dataDirectory', value: data },
      { flag: '--host', key: 'api.host', value: host },
      { flag: '--port', key: 'api.port', value: port },
      { flag: '--log-level', key: 'logging.level', value: logLevel },
      { flag: '--enable-profiling', key: 'profiling.enabled', value: enableProfiling },
    ],
  })
  checkListenAddresses(loaded.value)
  return loaded
}
