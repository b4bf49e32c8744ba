import { LiveRenditionProcess } from '#codec/live-rendition.ts'
import { TranscodeProcess } from '#codec/transcoder.ts'
import type { EncoderList } from '#codec/transcoding.ts'
import type { Logger } from '#lib/log.ts'
import { silenceMs } from './codec-silence.ts'
import { makePictures, packageRenditions } from './packaging-runners.ts'
import { localFile, watchProcess, type TaskRunner, type TaskRunners } from './task-runner.ts'

const probeSource: TaskRunner<'probe'> = async ({ source }, context) => {
  await using process = new TranscodeProcess({ log: context.log, silenceMs })
  watchProcess(process, context)
  return { output: { kind: 'probe', probe: await process.probe(context.urlOf(source), context) }, files: [] }
}

const encodeVideo: TaskRunner<'video'> = async (spec, context) => {
  await using process = new TranscodeProcess({ log: context.log, silenceMs })
  watchProcess(process, context)
  const { source, watermark, kind: _, ...order } = spec
  const file = localFile({ name: 'chunk.mp4', contentType: 'video/mp4' }, context.directory)
  const facts = await process.encodeVideo(
    {
      ...order,
      sourceUrl: context.urlOf(source),
      ...(watermark !== undefined && { watermarkUrl: context.urlOf(watermark) }),
      outputPath: file.path,
    },
    context,
  )
  return { output: { kind: 'video', facts }, files: [file] }
}

const encodeAudio: TaskRunner<'audio'> = async (spec, context) => {
  await using process = new TranscodeProcess({ log: context.log, silenceMs })
  watchProcess(process, context)
  const { source, kind: _, ...order } = spec
  const file = localFile({ name: 'audio.mp4', contentType: 'audio/mp4' }, context.directory)
  const facts = await process.encodeAudio({ ...order, sourceUrl: context.urlOf(source), outputPath: file.path }, context)
  return { output: { kind: 'audio', facts }, files: [file] }
}

/** It has no end but the one that it is told, or that its source or target brings about. */
const publishLive: TaskRunner<'live'> = async ({ sourceUrl, targetUrl, picture, video, audio }, context) => {
  await using process = new LiveRenditionProcess({ log: context.log })
  watchProcess(process, context)
  return await process.run({ sourceUrl, targetUrl, picture, video, audio }, context)
}

/** Tasks by FFmpeg, each in a process of its own. */
export const codecRunners: TaskRunners = {
  probe: probeSource,
  video: encodeVideo,
  audio: encodeAudio,
  pictures: makePictures,
  package: packageRenditions,
  live: publishLive,
}

/** What this machine can encode with. */
export async function detectEncoders({ log, signal }: { log: Logger; signal: AbortSignal }): Promise<EncoderList> {
  await using process = new TranscodeProcess({ log })
  return await process.listEncoders({ signal })
}
