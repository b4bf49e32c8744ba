import type { Command } from './command.ts'

/** Every command by its name, in the order of the help. */
const loaders = new Map<string, () => Promise<Command>>(
  Object.entries({
    serve: async () => (await import('./serve.ts')).serve,
    demo: async () => (await import('./demo.ts')).demo,
    validate: async () => (await import('./validate.ts')).validate,
    'streams list': async () => (await import('./streams-list.ts')).streamsList,
    'streams show': async () => (await import('./streams-show.ts')).streamsShow,
    'streams add': async () => (await import('./streams-add.ts')).streamsAdd,
    'streams remove': async () => (await import('./streams-remove.ts')).streamsRemove,
    'streams start': async () => (await import('./streams-start.ts')).streamsStart,
    'streams stop': async () => (await import('./streams-stop.ts')).streamsStop,
    'streams watch': async () => (await import('./streams-watch.ts')).streamsWatch,
    'recordings list': async () => (await import('./recordings-list.ts')).recordingsList,
    'recordings export': async () => (await import('./recordings-export.ts')).recordingsExport,
    events: async () => (await import('./events.ts')).events,
    'jobs submit': async () => (await import('./jobs-submit.ts')).jobsSubmit,
    'jobs list': async () => (await import('./jobs-list.ts')).jobsList,
    'jobs show': async () => (await import('./jobs-show.ts')).jobsShow,
    'jobs watch': async () => (await import('./jobs-watch.ts')).jobsWatch,
    'jobs logs': async () => (await import('./jobs-logs.ts')).jobsLogs,
    'jobs cancel': async () => (await import('./jobs-cancel.ts')).jobsCancel,
    'jobs retry': async () => (await import('./jobs-retry.ts')).jobsRetry,
    'scenarios list': async () => (await import('./scenarios-list.ts')).scenariosList,
    'scenarios show': async () => (await import('./scenarios-show.ts')).scenariosShow,
    'scenarios add': async () => (await import('./scenarios-add.ts')).scenariosAdd,
    'scenarios remove': async () => (await import('./scenarios-remove.ts')).scenariosRemove,
    'nodes list': async () => (await import('./nodes-list.ts')).nodesList,
    'nodes drain': async () => (await import('./nodes-drain.ts')).nodesDrain,
    'nodes remove': async () => (await import('./nodes-remove.ts')).nodesRemove,
    'topics list': async () => (await import('./topics-list.ts')).topicsList,
    'topics describe': async () => (await import('./topics-describe.ts')).topicsDescribe,
    'topics create': async () => (await import('./topics-create.ts')).topicsCreate,
    'topics delete': async () => (await import('./topics-delete.ts')).topicsDelete,
    produce: async () => (await import('./produce.ts')).produce,
    consume: async () => (await import('./consume.ts')).consume,
    'groups list': async () => (await import('./groups-list.ts')).groupsList,
    'groups describe': async () => (await import('./groups-describe.ts')).groupsDescribe,
    'groups reset': async () => (await import('./groups-reset.ts')).groupsReset,
    'keys list': async () => (await import('./keys-list.ts')).keysList,
    'keys create': async () => (await import('./keys-create.ts')).keysCreate,
    'keys rotate': async () => (await import('./keys-rotate.ts')).keysRotate,
    'keys revoke': async () => (await import('./keys-revoke.ts')).keysRevoke,
    'profile cpu': async () => (await import('./profile-cpu.ts')).profileCpu,
    'profile allocations': async () => (await import('./profile-allocations.ts')).profileAllocations,
    'profile heap': async () => (await import('./profile-heap.ts')).profileHeap,
    'backup create': async () => (await import('./backup-create.ts')).backupCreate,
    'backup list': async () => (await import('./backup-list.ts')).backupList,
    'backup verify': async () => (await import('./backup-verify.ts')).backupVerify,
    'backup restore': async () => (await import('./backup-restore.ts')).backupRestore,
    'backup prune': async () => (await import('./backup-prune.ts')).backupPrune,
    'certs authority': async () => (await import('./certs-authority.ts')).certsAuthority,
    'certs server': async () => (await import('./certs-server.ts')).certsServer,
    'certs client': async () => (await import('./certs-client.ts')).certsClient,
    'log verify': async () => (await import('./log-verify.ts')).logVerify,
    'log rebuild': async () => (await import('./log-rebuild.ts')).logRebuild,
  }),
)

/** Words as they are typed: `streams list`. */
export const commandNames: readonly string[] = [...loaders.keys()]

/** The command that a command line begins with; all of them when it names none, since then its help is wanted. A server carries no command but its own. */
export async function loadCommands([first = '', second = '']: readonly string[]): Promise<Command[]> {
  const load = loaders.get(`${first} ${second}`) ?? loaders.get(first)
  return await Promise.all(load ? [load()] : [...loaders.values()].map((each) => each()))
}

/** What stands in the help beside the first word of commands with two. */
export const groups: Readonly<Record<string, string>> = {
  streams: 'Streams of a running server',
  recordings: 'Recorded files of a running server',
  jobs: 'Encoding jobs of a running server',
  scenarios: 'Scenarios of a running server: named ways to encode',
  nodes: 'Workers that encode for a running server',
  topics: 'Topics of the event log of a running server',
  groups: 'Consumer groups of a running server',
  keys: 'API keys of a running server',
  profile: 'Where a running server spends its time and memory',
  backup: 'Backups of the database, beside a server or without one',
  certs: 'Certificates for HTTPS, signed by an own authority',
  log: 'Stored records of the event log, without a server',
}
