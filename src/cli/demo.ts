import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { demoCameras, startDemoCameras } from '#codec/demo-cameras.ts'
import { ReloadWatch } from '#lib/config/watch.ts'
import { AppError } from '#lib/errors.ts'
import { loadSettings } from '#roles/settings.ts'
import { defineCommand, type CommandContext } from './command.ts'
import { openLog, reloadUntilStopped, stopWithin, type RunningNode } from './node-run.ts'
import { describeNode } from './serve.ts'

export const demo = defineCommand({
  name: 'demo',
  summary: 'Run a server with four moving demo cameras, live and recorded, until Ctrl+C',
  details:
    'Everything it keeps is removed at the end, unless --directory says where to keep it. It does not read your configuration.',
  arguments: Type.Object({}),
  options: Type.Object({
    directory: Type.Optional(
      Type.String({ placeholder: 'directory', minLength: 1, description: 'Keep configuration, database and recordings here' }),
    ),
    port: portOption(3000, 'the web application and the API; 0 takes a free one'),
    rtspPort: portOption(8554, 'the RTSP server'),
    kafkaPort: portOption(9092, 'the event log for Kafka clients'),
    grpcPort: portOption(50_051, 'the event log over gRPC'),
    metricsPort: portOption(9090, 'the metrics'),
  }),
  async run({ options, ...context }) {
    if (options.directory !== undefined) return runDemo(options.directory, options, context)
    await using directory = await mkdtempDisposable(join(tmpdir(), 'millrace-demo-'))
    return await runDemo(directory.path, options, context)
  },
})

function portOption(value: number, what: string) {
  return Type.Integer({ default: value, minimum: 0, maximum: 65_535, description: `Port of ${what}` })
}

type Ports = Readonly<Record<'port' | 'rtspPort' | 'kafkaPort' | 'grpcPort' | 'metricsPort', number>>

async function runDemo(directory: string, ports: Ports, { terminal, signal }: CommandContext): Promise<void> {
  const file = join(directory, 'millrace-demo.toml')
  await mkdir(directory, { recursive: true })
  await writeFile(file, demoConfiguration(directory, ports), { mode: 0o600 })
  // Not the environment's: a DATABASE_URL that is set for something else is not for playing with.
  const load = () => loadSettings({ file, environment: {} })
  const loaded = await load()
  const settings = loaded.value
  const { log } = openLog(settings, terminal)
  const { startNode } = await import('#roles/node.ts')
  using reloads = new ReloadWatch({ file, signal, log })
  const node = await startNode({ loaded, role: 'all', log })
  try {
    terminal.write(describeNode(node, settings, file))
    const rtspUrl = requireRtsp(node)
    await using cameras = await startDemoCameras({ rtspUrl, cameras: demoCameras, log, signal })
    const announced = cameras.ready.then(() => {
      if (!signal.aborted) terminal.write(`All ${demoCameras.length} cameras are live.\n`)
    })
    await reloadUntilStopped(node, { reloads, log, load })
    await announced
  } finally {
    await stopWithin(node, settings.server.shutdownSeconds)
  }
}

function requireRtsp({ addresses }: Pick<RunningNode, 'addresses'>): string {
  if (addresses.rtsp === undefined) throw new AppError('INTERNAL', 'the demo node has no RTSP server')
  return addresses.rtsp
}

/** Short recorded files, so that there is something to play back at once. */
function demoConfiguration(directory: string, { port, rtspPort, kafkaPort, grpcPort, metricsPort }: Ports): string {
  const streams = demoCameras.map(({ name }) => `[streams.${JSON.stringify(name)}]\nsources = ["publish"]\n`)
  return `# Configuration of "millrace demo".

[server]
dataDirectory = ${JSON.stringify(join(directory, 'data'))}

[api]
port = ${port}

[rtsp]
port = ${rtspPort}
rtpPort = 0

[kafka]
port = ${kafkaPort}

[grpc]
port = ${grpcPort}

[metrics]
port = ${metricsPort}

[streamDefaults]
hls = "always"
recording = { enabled = true, segmentSeconds = 10, retentionHours = 1 }

${streams.join('\n')}`
}
