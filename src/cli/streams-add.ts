import { Type } from 'typebox'
import { partialStreamSpecSchema, streamParamsSchema } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'

export const streamsAdd = defineCommand({
  name: 'streams add',
  summary: 'Add a stream to a running server',
  details: 'Without --source the stream waits for somebody to publish it. What is not said here has the default of the server.',
  arguments: streamParamsSchema,
  options: Type.Object({
    ...apiOptions,
    source: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        placeholder: 'url',
        description:
          'Where the picture comes from, such as rtsp://…; again for a source that takes over when those before it are away',
      }),
    ),
    onDemand: Type.Boolean({ default: false, description: 'Connect only while somebody watches' }),
    record: Type.Boolean({ default: false, description: 'Record whenever the stream is online' }),
    segmentSeconds: Type.Optional(Type.Integer({ minimum: 2, description: 'Length of recorded files' })),
    retentionHours: Type.Optional(Type.Number({ minimum: 0, description: 'Delete recordings that are older; 0 keeps them' })),
    hls: partialStreamSpecSchema.properties.hls,
  }),
  async run({ arguments: { name }, options, terminal, environment }) {
    const { source, onDemand, record, segmentSeconds, retentionHours, hls } = options
    const recording = {
      ...(record && { enabled: true }),
      ...(segmentSeconds !== undefined && { segmentSeconds }),
      ...(retentionHours !== undefined && { retentionHours }),
    }
    const stream = await openClient(options, environment).createStream({
      name,
      ...(source && { sources: source }),
      ...(onDemand && { onDemand }),
      ...(hls !== undefined && { hls }),
      ...(Object.keys(recording).length > 0 && { recording }),
    })
    if (options.json) return terminal.write(`${JSON.stringify(stream, null, 2)}\n`)
    const where =
      stream.spec.sources.includes('publish') && stream.urls.rtsp !== undefined ? `; publish to ${stream.urls.rtsp}` : ''
    terminal.write(`Stream ${stream.name} added: ${stream.state}${where}\n`)
  },
})
