import { Type } from 'typebox'
import { keyParamsSchema } from '#api/key-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { KeyClient } from './key-client.ts'

export const keysRevoke = defineCommand({
  name: 'keys revoke',
  summary: 'End an API key; all nodes refuse it within 5 s',
  arguments: keyParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { id }, options, terminal, environment }) {
    await new KeyClient(openClient(options, environment)).revoke(id)
    terminal.write(options.json ? `${JSON.stringify({ id, outcome: 'revoked' })}\n` : `Key ${id} revoked\n`)
  },
})
