import { AppError } from '#lib/errors.ts'
import type { FleetWorker } from '../plan/encoder-choice.ts'
import { planLive } from '../plan/plan-live.ts'
import type { JobInput, Scenario } from '../scenario.ts'
import type { JobMedia } from './worker-access.ts'
import type { TaskSpec } from '../worker-protocol.ts'

type LiveSpec = Extract<TaskSpec, { kind: 'live' }>

type LiveRequest = {
  readonly scenario: Scenario
  readonly input: JobInput
  readonly media: JobMedia
  /** Host name by which the worker knows this server. */
  readonly host: string
  /** The worker that has the task: it decides what encoder `auto` is. */
  readonly workers: readonly FleetWorker[]
}

/** The order of the one task of a live job. Throws what `liveLink` throws. */
export async function liveOrder({ scenario, input, media, host, workers }: LiveRequest): Promise<LiveSpec> {
  const { sourceUrl, targetUrl, hasAudio = true, ...source } = await media.liveLink(liveStreams(input), host)
  const { picture, video, audio } = planLive({ scenario, source, workers })
  const sound = audio === undefined || !hasAudio ? {} : { audio }
  return { kind: 'live', sourceUrl, targetUrl, picture, video, ...sound }
}

/** Throws `REQUEST_INVALID` unless both streams are named, and are two. */
export function liveStreams({ source, target }: JobInput): { readonly source: string; readonly target: string } {
  if (!('stream' in source) || target === undefined) {
    throw new AppError(
      'REQUEST_INVALID',
      'a live scenario needs source.stream, which it reads, and target.stream, which it publishes',
    )
  }
  if (source.stream === target.stream) {
    throw new AppError('REQUEST_INVALID', `stream "${source.stream}" cannot be its own target; name another one`)
  }
  return { source: source.stream, target: target.stream }
}
