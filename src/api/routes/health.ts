import { sleep } from '#lib/abort.ts'
import type { Clock } from '#lib/clock.ts'
import type { App } from '../app.ts'
import { type Health, healthSchema, livenessSchema, type PartView, type Readiness, readinessSchema } from '../contract.ts'
import { failures } from './answers.ts'

/** The process as a whole. */
export interface NodeService {
  readonly version: string
  readonly startedAtMs: number
  readonly roles: readonly string[]
  /** Each part of this process, the database among them, and whether it works now. */
  parts(): Promise<readonly PartView[]>
}

export type HealthRouteDeps = { readonly node: NodeService; readonly clock: Clock }

/** A check that takes longer has failed: whoever asks does not wait forever either. */
const checkMs = 2_000

const tags = ['health']
const schemas = {
  live: {
    tags,
    summary: 'The process runs. Restart it when this does not answer.',
    response: { 200: livenessSchema, ...failures },
  },
  ready: {
    tags,
    summary: 'All parts are started and the database answers. Send no work while this is 503.',
    response: { ...failures, 200: readinessSchema, 503: readinessSchema },
  },
  health: {
    tags,
    summary: 'Readiness with details.',
    response: { ...failures, 200: healthSchema, 503: healthSchema },
  },
}
/** Whoever watches over processes has no credentials. */
const config = { isOpen: true }

export function healthRoutes(app: App, deps: HealthRouteDeps): void {
  app.get('/live', { schema: schemas.live, config }, async () => ({ status: 'ok' as const }))

  app.get('/ready', { schema: schemas.ready, config }, async (_, reply) => {
    const { status, parts } = await readHealth(deps)
    const unready = parts.filter(({ isReady }) => !isReady).map(({ name }) => name)
    const body: Readiness = { status, unready }
    return reply.code(status === 'ok' ? 200 : 503).send(body)
  })

  app.get('/health', { schema: schemas.health, config }, async (_, reply) => {
    const health = await readHealth(deps)
    return reply.code(health.status === 'ok' ? 200 : 503).send(health)
  })
}

/** How the process is; asks every part, for a limited time. */
async function readHealth({ node, clock }: HealthRouteDeps): Promise<Health> {
  const parts = await checkParts(node)
  return {
    status: parts.every(({ isReady }) => isReady) ? 'ok' : 'unready',
    version: node.version,
    uptimeSeconds: uptimeSeconds({ node, clock }),
    parts,
  }
}

export function uptimeSeconds({ node, clock }: HealthRouteDeps): number {
  return Math.max(0, (clock.nowMs() - node.startedAtMs) / 1000)
}

/** The parts; when they cannot be asked or do not answer, that as one part which is not ready. */
export async function checkParts(node: NodeService): Promise<PartView[]> {
  const answered = new AbortController()
  const late = sleep(checkMs, answered.signal).then(() => [failedCheck(`no answer within ${checkMs} ms`)])
  const asked = node.parts().catch((error: unknown) => [failedCheck(error instanceof Error ? error.message : String(error))])
  try {
    return [...(await Promise.race([asked, late]))]
  } finally {
    answered.abort()
  }
}

function failedCheck(detail: string): PartView {
  return { name: 'check', isReady: false, detail }
}
