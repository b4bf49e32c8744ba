import { constants, createWriteStream } from 'node:fs'
import { copyFile, mkdir, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { badInputsOf } from '#codec/bad-inputs.ts'
import type { PackageFacts, PackageOrder } from '#codec/transcoding.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { CodecProcesses } from './codec-processes.ts'
import { localFile, type RunContext, type SpecOf, type TaskResult } from './task-runner.ts'

export async function makePictures(
  { source, timeline, picture, posterAtMs, tiles }: SpecOf<'pictures'>,
  context: RunContext,
  processes: CodecProcesses,
): Promise<TaskResult> {
  const order = { sourceUrl: context.urlOf(source), timeline, picture, posterAtMs, tiles, outputDirectory: context.directory }
  const { files } = await processes.run(context, (process) => process.pictures(order, context))
  return { output: { kind: 'pictures' }, files: files.map((file) => localFile(file, context.directory)) }
}

export async function packageRenditions(
  spec: SpecOf<'package'>,
  context: RunContext,
  processes: CodecProcesses,
): Promise<TaskResult> {
  const outputDirectory = join(context.directory, 'out')
  await mkdir(outputDirectory)
  const facts = await packageTracks(spec, { context, outputDirectory, processes })
  const pictures = await Promise.all(spec.pictures.map((name) => fetchPicture(name, { context, outputDirectory })))
  const files = [...facts.files, ...pictures]
  return { output: { kind: 'package', facts: { ...facts, files } }, files: files.map((file) => localFile(file, outputDirectory)) }
}

type Place = { readonly context: RunContext; readonly outputDirectory: string }

/** An input that is at fault is named as the task names it: `details.badInputs`. */
async function packageTracks(
  spec: SpecOf<'package'>,
  { context, outputDirectory, processes }: Place & { readonly processes: CodecProcesses },
): Promise<PackageFacts> {
  const order = packageOrder(spec, { context, outputDirectory })
  try {
    return await processes.run(context, (process) => process.package(order, context), { isLast: true })
  } catch (cause) {
    const badInputs = badInputsOf(cause).flatMap(({ track: trackName, input }) => {
      const track = spec.tracks.find(({ track: { name } }) => name === trackName)
      return track?.inputs[input]?.name ?? []
    })
    if (badInputs.length === 0) throw cause
    const { code, message } = toAppError(cause)
    throw new AppError(code, message, { cause, details: { badInputs } })
  }
}

function packageOrder(spec: SpecOf<'package'>, { context: { urlOf }, outputDirectory }: Place): PackageOrder {
  const { format, timeline, segmentMs, tracks, vmaf } = spec
  return {
    format,
    timeline,
    segmentMs,
    outputDirectory,
    tracks: tracks.map(({ track, inputs }) => ({
      ...track,
      inputs: inputs.map(({ name, sha256, frameCount }) => ({ url: urlOf(name), sha256, frameCount })),
    })),
    ...(vmaf && { vmaf: { sourceUrl: urlOf(vmaf.source), seconds: vmaf.seconds, picture: vmaf.picture } }),
  }
}

/** A picture of another task goes into what is published as it is. */
async function fetchPicture(name: string, { context, outputDirectory }: Place): Promise<PackageFacts['files'][number]> {
  const path = join(outputDirectory, plainName(name))
  const location = context.urlOf(name)
  if (isAbsolute(location)) await copyFile(location, path, constants.COPYFILE_FICLONE)
  else await download(location, { name, path, signal: context.signal })
  const { size } = await stat(path)
  return { name: plainName(name), sizeBytes: size, contentType: contentTypeOf(name) }
}

async function download(url: string, { name, path, signal }: { name: string; path: string; signal: AbortSignal }): Promise<void> {
  const response = await fetch(url, { signal })
  if (!response.ok || response.body === null) throw new AppError('SOURCE_UNREACHABLE', `picture "${name}" cannot be read`)
  await pipeline(Readable.fromWeb(response.body), createWriteStream(path), { signal })
}

function plainName(name: string): string {
  if (/^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$/.test(name)) return name
  throw new AppError('MALFORMED', `"${name}" is no name for a file that is published`)
}

const contentTypes: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  vtt: 'text/vtt',
}

function contentTypeOf(name: string): string {
  return contentTypes[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
}
