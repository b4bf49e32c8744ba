import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Settings } from './settings.ts'

/** The id that is set, or one that is made at the first start and kept: a worker that starts again is the same one. */
export async function loadWorkerId({ server, worker }: Pick<Settings, 'server' | 'worker'>): Promise<string> {
  if (worker.id !== undefined) return worker.id
  const path = join(server.dataDirectory, 'worker.id')
  await mkdir(server.dataDirectory, { recursive: true })
  const made = `${hostname()
    .replaceAll(/[^a-zA-Z0-9.-]/g, '-')
    .slice(0, 60)}-${randomBytes(4).toString('hex')}`
  await writeFile(path, made, { flag: 'wx' }).catch(() => undefined)
  return (await readFile(path, 'utf8')).trim()
}
