import { Type } from 'typebox'
import { streamParamsSchema } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient, type ApiClient } from './client.ts'
import { defineCommand, type Command } from './command.ts'

export type StreamAction = {
  readonly name: string
  readonly summary: string
  /** What the stream then is, for the answer: `stopped`. */
  readonly outcome: string
  readonly act: (client: ApiClient, name: string) => Promise<void>
}

/** A command that does one thing to one stream and says so. */
export function defineStreamAction({ name: command, summary, outcome, act }: StreamAction): Command {
  return defineCommand({
    name: command,
    summary,
    arguments: streamParamsSchema,
    options: Type.Object(apiOptions),
    async run({ arguments: { name }, options, terminal, environment }) {
      await act(openClient(options, environment), name)
      terminal.write(options.json ? `${JSON.stringify({ name, outcome })}\n` : `Stream ${name} ${outcome}\n`)
    },
  })
}
