import { OtlpTracer } from '#ops/otlp-tracer.ts'
import { newId } from '#lib/ids.ts'
import type { PartContext } from './node-parts.ts'
import { loadWorkerId } from './worker-id.ts'

/** Traces of this process go to a collector. */
export async function openTracer(endpoint: string, { settings, identity, clock, log }: PartContext): Promise<OtlpTracer> {
  const { version, roles } = identity
  // A worker is known by its id everywhere; of a server there may be several, and none has a name.
  const nodeId = roles.includes('worker') ? await loadWorkerId(settings) : newId(clock.nowMs())
  const resource = {
    'service.name': 'millrace',
    'service.version': version,
    'service.instance.id': nodeId,
    'millrace.role': roles.join(','),
  }
  log.info({ endpoint, nodeId }, 'traces go to a collector')
  return new OtlpTracer({ endpoint, sampleRatio: settings.tracing.sampleRatio, resource, version, clock, log })
}
