import type { Command } from './command.ts'
import { demo } from './demo.ts'
import { events } from './events.ts'
import { recordingsExport } from './recordings-export.ts'
import { recordingsList } from './recordings-list.ts'
import { serve } from './serve.ts'
import { streamsAdd } from './streams-add.ts'
import { streamsList } from './streams-list.ts'
import { streamsRemove } from './streams-remove.ts'
import { streamsShow } from './streams-show.ts'
import { streamsStart } from './streams-start.ts'
import { streamsStop } from './streams-stop.ts'
import { streamsWatch } from './streams-watch.ts'
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
]

/** What stands in the help beside the first word of commands with two. */
export const groups: Readonly<Record<string, string>> = {
  streams: 'Streams of a running server',
  recordings: 'Recorded files of a running server',
}
