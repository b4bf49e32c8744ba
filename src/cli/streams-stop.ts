import { defineStreamAction } from './stream-action.ts'

export const streamsStop = defineStreamAction({
  name: 'streams stop',
  summary: 'Stop a stream: its connections end, and none are accepted until it is started',
  outcome: 'stopped',
  act: (client, name) => client.stopStream(name),
})
