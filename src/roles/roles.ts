import type { Settings } from './settings.ts'

/**
 * The parts that one process can run. `needs` are started first and stopped last; `sections` are the parts of the configuration that it is
 * built from: when one of them changes, the part is built anew, if it can be while the process runs.
 */
export const parts = {
  tracing: { needs: [], sections: ['tracing'], canRestart: false },
  database: { needs: [], sections: ['database', 'server'], canRestart: false },
  objects: { needs: [], sections: ['objects', 'server'], canRestart: false },
  log: { needs: ['database', 'objects'], sections: ['log'], canRestart: false },
  events: { needs: ['log'], sections: [], canRestart: false },
  recordings: { needs: ['database', 'objects', 'events'], sections: ['recordings'], canRestart: false },
  streams: { needs: ['database', 'events', 'recordings'], sections: ['live'], canRestart: false },
  rtsp: { needs: ['streams'], sections: ['rtsp'], canRestart: true },
  kafka: { needs: ['log', 'events'], sections: ['kafka', 'tls'], canRestart: true },
  grpc: { needs: ['log'], sections: ['grpc', 'tls'], canRestart: true },
  jobs: { needs: ['tracing', 'database', 'objects'], sections: ['jobs', 'scenarios'], canRestart: false },
  api: { needs: ['database', 'jobs'], sections: ['api', 'tls'], canRestart: true },
  worker: { needs: ['tracing'], sections: ['worker'], canRestart: true },
  backup: { needs: ['database', 'objects'], sections: ['backup'], canRestart: true },
  metrics: { needs: [], sections: ['metrics'], canRestart: true },
} as const satisfies Record<string, { needs: readonly string[]; sections: readonly (keyof Settings)[]; canRestart: boolean }>

export type Part = keyof typeof parts

/** What `--role` names. One process with everything is the usual one; `api` is the control plane of a fleet alone, `worker` does its work. */
export const roles = {
  all: ['rtsp', 'kafka', 'grpc', 'api', 'worker', 'backup', 'metrics'],
  api: ['api', 'backup', 'metrics'],
  worker: ['worker'],
} as const satisfies Record<string, readonly Part[]>

export type Role = keyof typeof roles

/** The parts to start for a role, each after what it needs. */
export function startOrder(role: Role): Part[] {
  const order: Part[] = []
  const visit = (part: Part): void => {
    if (order.includes(part)) return
    for (const need of parts[part].needs) visit(need)
    order.push(part)
  }
  for (const part of roles[role]) visit(part)
  return order
}

/** Which sections differ between two configurations. */
export function changedSections(before: Settings, after: Settings): (keyof Settings)[] {
  const names = Object.keys(after).filter((name): name is keyof Settings => name in after)
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
}

/** The parts that are built from any of these sections. */
export function partsOf(sections: readonly (keyof Settings)[]): Part[] {
  return startOrder('all').filter((part) => parts[part].sections.some((section) => sections.includes(section)))
}
