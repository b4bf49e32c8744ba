import type { Command } from './command.ts'
import { consume } from './consume.ts'
import { demo } from './demo.ts'
import { events } from './events.ts'
import { groupsDescribe } from './groups-describe.ts'
import { groupsList } from './groups-list.ts'
import { groupsReset } from './groups-reset.ts'
import { jobsCancel } from './jobs-cancel.ts'
import { jobsList } from './jobs-list.ts'
import { jobsLogs } from './jobs-logs.ts'
import { jobsRetry } from './jobs-retry.ts'
import { jobsShow } from './jobs-show.ts'
import { jobsSubmit } from './jobs-submit.ts'
import { jobsWatch } from './jobs-watch.ts'
import { logRebuild } from './log-rebuild.ts'
import { logVerify } from './log-verify.ts'
import { nodesDrain } from './nodes-drain.ts'
import { nodesList } from './nodes-list.ts'
import { nodesRemove } from './nodes-remove.ts'
import { produce } from './produce.ts'
import { recordingsExport } from './recordings-export.ts'
import { recordingsList } from './recordings-list.ts'
import { scenariosAdd } from './scenarios-add.ts'
import { scenariosList } from './scenarios-list.ts'
import { scenariosRemove } from './scenarios-remove.ts'
import { scenariosShow } from './scenarios-show.ts'
import { serve } from './serve.ts'
import { streamsAdd } from './streams-add.ts'
import { streamsList } from './streams-list.ts'
import { streamsRemove } from './streams-remove.ts'
import { streamsShow } from './streams-show.ts'
import { streamsStart } from './streams-start.ts'
import { streamsStop } from './streams-stop.ts'
import { streamsWatch } from './streams-watch.ts'
import { topicsCreate } from './topics-create.ts'
import { topicsDelete } from './topics-delete.ts'
import { topicsDescribe } from './topics-describe.ts'
import { topicsList } from './topics-list.ts'
import { validate } from './validate.ts'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  serve,
  demo,
  validate,
  streamsList,
  streamsShow,
  streamsAdd,
  streamsRemove,
  streamsStart,
  streamsStop,
  streamsWatch,
  recordingsList,
  recordingsExport,
  events,
  jobsSubmit,
  jobsList,
  jobsShow,
  jobsWatch,
  jobsLogs,
  jobsCancel,
  jobsRetry,
  scenariosList,
  scenariosShow,
  scenariosAdd,
  scenariosRemove,
  nodesList,
  nodesDrain,
  nodesRemove,
  topicsList,
  topicsDescribe,
  topicsCreate,
  topicsDelete,
  produce,
  consume,
  groupsList,
  groupsDescribe,
  groupsReset,
  logVerify,
  logRebuild,
]

/** What stands in the help beside the first word of commands with two. */
export const groups: Readonly<Record<string, string>> = {
  streams: 'Streams of a running server',
  recordings: 'Recorded files of a running server',
  jobs: 'Encoding jobs of a running server',
  scenarios: 'Scenarios of a running server: named ways to encode',
  nodes: 'Workers that encode for a running server',
  topics: 'Topics of the event log of a running server',
  groups: 'Consumer groups of a running server',
  log: 'Stored records of the event log, without a server',
}
