import { Type } from 'typebox'
import { keyCreateSchema } from '#api/key-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { KeyClient } from './key-client.ts'
import { parseDurationMs } from './time-argument.ts'

export const keysCreate = defineCommand({
  name: 'keys create',
  summary: 'Make an API key, which is shown once',
  details:
    'Programs send it as "Authorization: Bearer mrk_…", this command line as --url http://mrk_…@host:3000, and a worker has it as worker.credential. Without flags it may read every stream and change nothing.',
  arguments: Type.Object({ name: keyCreateSchema.properties.name }),
  options: Type.Object({
    ...apiOptions,
    admin: Type.Boolean({ default: false, description: 'It may see and change everything, as a worker must' }),
    read: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        placeholder: 'pattern',
        description: 'Streams that it may read, such as site-1/*; may come again (default: all)',
      }),
    ),
    publish: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        placeholder: 'pattern',
        description: 'Streams that it may publish; may come again (default: none)',
      }),
    ),
    expiresIn: Type.Optional(
      Type.String({ placeholder: 'duration', description: 'It is not valid after 90d, 12h, …; valid for ever when absent' }),
    ),
  }),
  async run({ arguments: { name }, options, terminal, environment, clock }) {
    const { admin, read, publish, expiresIn } = options
    const made = await new KeyClient(openClient(options, environment)).create({
      name,
      admin,
      ...(read && { read }),
      ...(publish && { publish }),
      ...(expiresIn !== undefined && { expiresAt: new Date(clock.nowMs() + parseDurationMs(expiresIn)).toISOString() }),
    })
    if (options.json) return terminal.write(`${JSON.stringify(made, null, 2)}\n`)
    const end = made.expiresAt === undefined ? '' : `, valid until ${formatTime(made.expiresAt)}`
    terminal.write(`Key ${made.name} (${made.id}) made${end}; keep it, it is not shown again:\n${made.key}\n`)
  },
})
