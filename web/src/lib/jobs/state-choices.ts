import type { JobCountsView, JobSummary } from './job-api.ts'

export type StateChoice = {
  readonly label: string
  /** As the API takes them, separated by commas; all when empty. */
  readonly states: string
  /** Absent while nobody knows. */
  readonly count: number | undefined
}

type State = JobSummary['state']
const kinds: readonly { readonly label: string; readonly states: readonly State[] }[] = [
  { label: 'Running', states: ['assigned', 'running', 'retrying'] },
  { label: 'Waiting', states: ['queued'] },
  { label: 'Completed', states: ['completed'] },
  { label: 'Failed', states: ['failed', 'timed_out', 'rejected'] },
  { label: 'Canceled', states: ['canceled'] },
]

/** What the list of jobs can be narrowed to, and how many there are of each. */
export function stateChoices(jobs: JobCountsView['jobs'] | undefined): StateChoice[] {
  const sum = (states: readonly State[]): number | undefined => jobs && states.reduce((all, state) => all + jobs[state], 0)
  return [
    { label: 'All', states: '', count: sum(kinds.flatMap(({ states }) => states)) },
    ...kinds.map(({ label, states }) => ({ label, states: states.join(','), count: sum(states) })),
  ]
}
