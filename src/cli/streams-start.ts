import { defineStreamAction } from './stream-action.ts'

export const streamsStart = defineStreamAction({
  name: 'streams start',
  summary: 'Start a stream that was stopped',
  outcome: 'started',
  act: (client, name) => client.startStream(name),
})
