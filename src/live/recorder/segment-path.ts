import { dirname, join } from 'node:path'

/** `site/gate/2026-01-31/13-05-09-123Z-<id>.mp4`, UTC, relative to the directory of recordings. */
export function segmentPath({ stream, startedAtMs, id }: { stream: string; startedAtMs: number; id: string }): string {
  const [date = '', time = ''] = new Date(startedAtMs).toISOString().split('T')
  return `${stream}/${date}/${time.replaceAll(/[:.]/g, '-')}-${id}.mp4`
}

/** The id in the name of a recorded file; undefined for files that the recorder did not name. */
export function segmentIdOf(fileName: string): string | undefined {
  return /^\d\d-\d\d-\d\d-\d{3}Z-([0-9a-z]{22})\.mp4$/.exec(fileName)?.[1]
}

/** The directories between a file and the root, innermost first. Relative paths. */
export function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let parent = dirname(path); parent !== '.' && parent !== '/'; parent = dirname(parent)) parents.push(parent)
  return parents
}

export function absolutePath(directory: string, path: string): string {
  return join(directory, ...path.split('/'))
}
