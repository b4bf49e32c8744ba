import { defineStreamAction } from './stream-action.ts'

export const streamsRemove = defineStreamAction({
  name: 'streams remove',
  summary: 'Remove a stream from a running server; its recordings stay',
  outcome: 'removed',
  act: (client, name) => client.removeStream(name),
})
