import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { startHttpServer, type SmallHttpServer } from './http-server.ts'

const contentTypes: Readonly<Record<string, string>> = {
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mpd': 'application/dash+xml',
  '.mp4': 'video/mp4',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
}

/** Serves the files of directories with ranges, as an object store does: `/name` from the first directory that has it. */
export async function startFileServer(...directories: readonly string[]): Promise<SmallHttpServer> {
  return await startHttpServer((request, response) => void answer(request, response, directories))
}

async function answer(request: IncomingMessage, response: ServerResponse, directories: readonly string[]): Promise<void> {
  const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname))
  for (const directory of directories) {
    const file = join(directory, path)
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile()) return send(request, response, { file, sizeBytes: found.size })
  }
  response.writeHead(404).end()
}

function send(
  { headers, method }: IncomingMessage,
  response: ServerResponse,
  { file, sizeBytes }: { file: string; sizeBytes: number },
): void {
  const [, from = '', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const start = from === '' ? 0 : Number(from)
  const end = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1)
  const range = from === '' ? {} : { 'content-range': `bytes ${start}-${end}/${sizeBytes}` }
  if (start > end) return void response.writeHead(416, { 'content-range': `bytes */${sizeBytes}` }).end()
  response.writeHead(from === '' ? 200 : 206, {
    'content-type': contentTypes[extname(file)] ?? 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    ...range,
  })
  if (method === 'HEAD') return void response.end()
  createReadStream(file, { start, end }).pipe(response)
}
