import { Type } from 'typebox'
import { keyParamsSchema } from '#api/key-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { KeyClient } from './key-client.ts'
import { parseDurationMs } from './time-argument.ts'

export const keysRotate = defineCommand({
  name: 'keys rotate',
  summary: 'Make a new secret for an API key, which is shown once',
  details:
    'The secret of now stays valid for the overlap, so that whoever has it can be given the new one meanwhile. Rotate again only after that: a secret that is in its overlap already ends at once.',
  arguments: keyParamsSchema,
  options: Type.Object({
    ...apiOptions,
    overlap: Type.Optional(
      Type.String({
        placeholder: 'duration',
        description: 'How long the secret of now stays valid: 2h, 7d, …; 0s ends it at once (default: 1d)',
      }),
    ),
  }),
  async run({ arguments: { id }, options, terminal, environment }) {
    const overlapSeconds = options.overlap === undefined ? undefined : Math.round(parseDurationMs(options.overlap) / 1000)
    const rotated = await new KeyClient(openClient(options, environment)).rotate(id, { overlapSeconds })
    if (options.json) return terminal.write(`${JSON.stringify(rotated, null, 2)}\n`)
    const { name, previousValidUntil, key } = rotated
    const before = previousValidUntil === undefined ? 'ended' : `is valid until ${formatTime(previousValidUntil)}`
    terminal.write(`Key ${name} rotated, the secret before ${before}; keep the new one, it is not shown again:\n${key}\n`)
  },
})
