import { Type } from 'typebox'
import type { EventMessage } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { followEvents } from './event-socket.ts'
import { formatTime } from './format.ts'
import type { Terminal } from './terminal.ts'

export const events = defineCommand({
  name: 'events',
  summary: 'Follow what happens to streams and recordings until Ctrl+C',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line' }),
    from: Type.Optional(
      Type.Integer({
        minimum: 0,
        placeholder: 'sequence',
        description: 'Begin with this event; 0 is the oldest that is kept. Otherwise: from now on',
      }),
    ),
    type: Type.Optional(
      Type.String({
        minLength: 1,
        placeholder: 'types',
        description: 'Only these, separated by commas: stream.online, recording.*',
      }),
    ),
    subject: Type.Optional(Type.String({ minLength: 1, placeholder: 'name', description: 'Only about this stream' })),
  }),
  async run({ options, terminal, environment, signal }) {
    const { from, type, subject } = options
    const client = openClient(options, environment)
    const onTrouble = (message: string): void => terminal.writeError(`${message}\n`)
    for await (const event of followEvents({ client, query: { from, type, subject }, signal, onTrouble })) {
      terminal.write(options.json ? `${JSON.stringify(event)}\n` : `${describeEvent(event, terminal)}\n`)
    }
  },
})

function describeEvent({ at, type, subject, data }: EventMessage, terminal: Terminal): string {
  const fields = Object.entries(data).filter(([key, value]) => value !== subject && key !== 'type')
  const details = fields.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ')
  return `${terminal.color('dim', formatTime(at))}  ${terminal.color('bold', type)}  ${subject}  ${details}`.trimEnd()
}
