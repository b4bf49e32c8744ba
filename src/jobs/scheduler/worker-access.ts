/** What the scheduler needs so that a worker, which has nothing but the address of the API, can read and write files and reach streams. */
import type { PartUpload } from '#store/objects/part-upload.ts'
import type { JobSource } from '../scenario.ts'

/** URLs that need no credentials and are valid for a while; they may begin with "/": then they are of the server that gave them. */
export interface TransferUrls {
  get(key: string): Promise<string>
  put(upload: PartUpload, part: number): Promise<string>
}

/** How one worker reaches this server, from one of its requests. */
export type WorkerAccess = {
  readonly urls: TransferUrls
  /** Host name by which the worker knows this server: `10.0.0.5`. */
  readonly host: string
}

export type Recording = Extract<JobSource, { recording: unknown }>['recording']

/** A stream that is to be encoded, as a worker reaches it. Sizes are absent while nobody knows them. */
export type LiveLink = {
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly width?: number
  readonly height?: number
  readonly hasAudio?: boolean
}

/** Streams and recordings of this server. */
export interface JobMedia {
  /** A URL with byte ranges, valid for a while. Throws `RECORDING_NOT_FOUND`. */
  recordingUrl(recording: Recording): Promise<string>
  /** Throws `STREAM_NOT_FOUND`, `STREAM_OFFLINE`, `STREAM_NOT_PUBLISHABLE`. */
  liveLink(streams: { readonly source: string; readonly target: string }, host: string): Promise<LiveLink>
}
