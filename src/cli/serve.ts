import { Type } from 'typebox'
import { ReloadWatch } from '#lib/config/watch.ts'
import { readVersion } from '#lib/version.ts'
import { roles, type Role } from '#roles/roles.ts'
import type { Settings } from '#roles/settings.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings, nodeOptions } from './node-options.ts'
import { openLog, reloadUntilStopped, stopWithin, type RunningNode } from './node-run.ts'
import { formatPairs } from './table.ts'
import { describeValid } from './validate.ts'

const roleNames = Object.keys(roles).filter((name): name is Role => name in roles)

export const serve = defineCommand({
  name: 'serve',
  summary: 'Run the server until Ctrl+C',
  details:
    'SIGHUP, or a change of the configuration file, takes on a new configuration. SIGTERM stops in order; a second one stops at once.',
  arguments: Type.Object({}),
  options: Type.Object({
    ...nodeOptions,
    role: Type.Enum(roleNames, { default: 'all', description: 'What this process does' }),
    validate: Type.Boolean({ default: false, description: 'Check the configuration and exit' }),
  }),
  async run({ options, terminal, environment, signal }) {
    const load = () => loadNodeSettings(options, environment)
    const loaded = await load()
    if (options.validate) return terminal.write(describeValid(loaded))
    const { value: settings, file } = loaded
    const { log, isPretty } = openLog(settings, terminal)
    // Loaded only here: loading it takes longer than most other commands take to run.
    const { startNode } = await import('#roles/node.ts')
    using reloads = new ReloadWatch({ file, signal, log })
    const node = await startNode({ loaded, role: options.role, log })
    try {
      if (isPretty) terminal.write(describeNode(node, settings, file))
      else log.info({ version: readVersion(), file, ...node.addresses }, 'millrace is running')
      await reloadUntilStopped(node, { reloads, log, load })
      log.info('stopping')
    } finally {
      await stopWithin(node, stopSeconds(settings, options.role))
    }
  },
})

/** A worker by itself finishes what it has before it goes. */
function stopSeconds({ server, worker }: Settings, role: Role): number {
  return server.shutdownSeconds + (role === 'worker' ? worker.drainSeconds : 0)
}

/** Where to look, for whoever started it. */
export function describeNode(
  { addresses }: Pick<RunningNode, 'addresses'>,
  { server }: Settings,
  file: string | undefined,
): string {
  const places = formatPairs([
    ['  Web', addresses.api],
    ['  API', addresses.api && `${addresses.api}/api`],
    ['  HTTPS', addresses.apiTls],
    ['  RTSP', addresses.rtsp],
    ['  Kafka', addresses.kafka],
    ['  gRPC', addresses.grpc],
    ['  Metrics', addresses.metrics ?? addresses.worker],
    ['  Data', server.dataDirectory],
    ['  Configuration', file ?? 'defaults and environment'],
  ])
  return `\nMillrace ${readVersion()} is running; Ctrl+C stops it.\n\n${places}\n`
}
