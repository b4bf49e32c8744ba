import { Agent } from 'undici'
import { AppError } from './errors.ts'

/** What makes the connections of `fetch` and `WebSocket`. */
export type FetchDispatcher = NonNullable<RequestInit['dispatcher']>

/**
 * One that makes them so. Node's own `fetch` is that of undici 7, whose agents it takes and does not give out. Only whoever needs one imports this file: it is
 * 13 MB in memory.
 */
export function openFetchDispatcher(connect: NonNullable<Agent.Options['connect']>): FetchDispatcher {
  const agent: unknown = new Agent({ connect })
  if (isDispatcher(agent)) return agent
  throw new AppError('INTERNAL', 'the agent of undici is not one that fetch takes')
}

/** Two packages declare the same type, and TypeScript tells them apart. */
function isDispatcher(value: unknown): value is FetchDispatcher {
  return value instanceof Agent
}
