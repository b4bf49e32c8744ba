import { Type } from 'typebox'
import { nodeParamsSchema } from '#api/job-contract.ts'
import { sleep } from '#lib/abort.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'

const lookMs = 1000

export const nodesDrain = defineCommand({
  name: 'nodes drain',
  summary: 'Give a worker nothing new; it finishes what it has',
  arguments: nodeParamsSchema,
  options: Type.Object({
    ...apiOptions,
    wait: Type.Boolean({ default: false, description: 'Wait until it has nothing left' }),
    undo: Type.Boolean({ default: false, description: 'Give it work again' }),
  }),
  async run({ arguments: { id }, options, terminal, environment, signal }) {
    const client = new JobClient(openClient(options, environment))
    let node = await (options.undo ? client.activateNode(id) : client.drainNode(id))
    while (options.wait && !options.undo && node.state === 'draining' && node.usedSlots > 0) {
      if (!(await sleep(lookMs, signal))) break
      node = await client.getNode(id, { signal })
    }
    if (options.json) return terminal.write(`${JSON.stringify(node, null, 2)}\n`)
    if (node.state === 'active') return terminal.write(`Node ${id} takes work\n`)
    if (node.state === 'lost') return terminal.write(`Node ${id} is lost: its worker does not answer\n`)
    const rest = node.usedSlots === 0 ? 'it has nothing left' : `${node.usedSlots} of ${node.slots} slots are still at work`
    terminal.write(`Node ${id} takes nothing new; ${rest}\n`)
  },
})
