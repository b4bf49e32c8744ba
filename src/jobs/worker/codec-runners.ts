import { LiveRenditionProcess } from '#codec/live-rendition.ts'
import { TranscodeProcess } from '#codec/transcoder.ts'
import type { EncoderList } from '#codec/transcoding.ts'
import type { Logger } from '#lib/log.ts'
import type { CodecProcesses } from './codec-processes.ts'
import { makePictures, packageRenditions } from './packaging-runners.ts'
import { localFile, watchProcess, type TaskRunner, type TaskRunners } from './task-runner.ts'

/** Tasks by FFmpeg, each in a process that does nothing else meanwhile. */
export function codecRunners(processes: CodecProcesses): TaskRunners {
  return {
    probe: async ({ source }, context) => ({
      output: { kind: 'probe', probe: await processes.run(context, (process) => process.probe(context.urlOf(source), context)) },
      files: [],
    }),
    video: async (spec, context) => {
      const { source, watermark, kind: _, ...encoding } = spec
      const file = localFile({ name: 'chunk.mp4', contentType: 'video/mp4' }, context.directory)
      const order = {
        ...encoding,
        sourceUrl: context.urlOf(source),
        ...(watermark !== undefined && { watermarkUrl: context.urlOf(watermark) }),
        outputPath: file.path,
      }
      const facts = await processes.run(context, (process) => process.encodeVideo(order, context))
      return { output: { kind: 'video', facts }, files: [file] }
    },
    audio: async (spec, context) => {
      const { source, kind: _, ...encoding } = spec
      const file = localFile({ name: 'audio.mp4', contentType: 'audio/mp4' }, context.directory)
      const order = { ...encoding, sourceUrl: context.urlOf(source), outputPath: file.path }
      const facts = await processes.run(context, (process) => process.encodeAudio(order, context))
      return { output: { kind: 'audio', facts }, files: [file] }
    },
    pictures: (spec, context) => makePictures(spec, context, processes),
    package: (spec, context) => packageRenditions(spec, context, processes),
    live: publishLive,
  }
}

/** It has no end but the one that it is told, or that its source or target brings about. */
const publishLive: TaskRunner<'live'> = async ({ sourceUrl, targetUrl, picture, video, audio }, context) => {
  await using process = new LiveRenditionProcess({ log: context.log })
  watchProcess(process, context)
  return await process.run({ sourceUrl, targetUrl, picture, video, audio }, context)
}

/** What this machine can encode with. */
export async function detectEncoders({ log, signal }: { log: Logger; signal: AbortSignal }): Promise<EncoderList> {
  await using process = new TranscodeProcess({ log })
  return await process.listEncoders({ signal })
}
