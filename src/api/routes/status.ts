import type { StreamUsage } from '#live/recorder/recording-index.ts'
import type { StreamState, StreamStatus } from '#live/status.ts'
import type { App } from '../app.ts'
import { type Status, statusSchema } from '../contract.ts'
import { failures } from './answers.ts'
import { checkParts, type HealthRouteDeps, uptimeSeconds } from './health.ts'

type DiskSpace = { readonly path: string; readonly totalBytes: number; readonly freeBytes: number }

/** What recordings take. */
export interface StorageUsage {
  /** Bytes and files on the disk per stream. */
  usage(): Promise<Pick<StreamUsage, 'sizeBytes' | 'segmentCount'>[]>
  /** The disk that recordings go to; undefined when it cannot be asked. */
  findDiskSpace(): Promise<DiskSpace | undefined>
}

/** What the status sums up; a node without streams has none. */
type StatusRouteDeps = HealthRouteDeps & {
  readonly live?: { readonly streams: { list(): StreamStatus[] }; readonly storage: StorageUsage }
}

const schema = { tags: ['status'], summary: 'The process at a glance.', response: { 200: statusSchema, ...failures } }

export function statusRoutes(app: App, deps: StatusRouteDeps): void {
  app.get('/status', { schema }, async () => loadStatus(deps))
}

async function loadStatus(deps: StatusRouteDeps): Promise<Status> {
  const { node, live } = deps
  const [parts, usage, disk] = await Promise.all([checkParts(node), findUsage(live?.storage), live?.storage.findDiskSpace()])
  const all = live?.streams.list() ?? []
  return {
    version: node.version,
    startedAt: new Date(node.startedAtMs).toISOString(),
    uptimeSeconds: uptimeSeconds(deps),
    roles: [...node.roles],
    parts,
    streams: countStates(all),
    totals: {
      readers: sum(all, ({ readerCount }) => readerCount),
      bitrateKbps: sum(all, ({ health }) => health.bitrateKbps),
      receivedBytes: sum(all, ({ health }) => health.receivedBytes),
      lostPackets: sum(all, ({ health }) => health.lostPackets),
      recordingStreams: all.filter(({ recording }) => recording.state === 'recording').length,
      ...(usage && {
        recordedBytes: sum(usage, ({ sizeBytes }) => sizeBytes),
        recordedSegments: sum(usage, ({ segmentCount }) => segmentCount),
      }),
    },
    ...(disk ? { disk } : {}),
    process: { pid: process.pid, runtime: `node ${process.versions.node}`, memoryBytes: process.memoryUsage.rss() },
  }
}

/** Undefined while the database is away: then the status matters most, and `parts` says why. */
async function findUsage(storage: StorageUsage | undefined): Promise<Awaited<ReturnType<StorageUsage['usage']>> | undefined> {
  try {
    return await storage?.usage()
  } catch {
    return undefined
  }
}

function countStates(streams: readonly StreamStatus[]): Status['streams'] {
  const counts: Record<StreamState, number> = { stopped: 0, idle: 0, connecting: 0, online: 0, offline: 0 }
  for (const { state } of streams) counts[state] += 1
  return { total: streams.length, ...counts }
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}
