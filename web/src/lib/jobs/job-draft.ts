import type { JobCreate } from './job-api.ts'

export type SourceKind = 'file' | 'url' | 'object' | 'recording'

/** What is typed into the form of a new job. */
export type JobDraft = {
  scenario: string
  kind: SourceKind
  /** Address, key, or name of a stream, by the kind. */
  place: string
  /** Of a recording: what a field for date and time holds, in the viewer's time zone. */
  from: string
  to: string
  queue: NonNullable<JobCreate['queue']>
  priority: NonNullable<JobCreate['priority']>
  label: string
  /** Seconds; empty is the whole source. */
  clipFrom: number | ''
  clipTo: number | ''
}

export function emptyDraft(): JobDraft {
  return {
    scenario: '',
    kind: 'file',
    place: '',
    from: '',
    to: '',
    queue: 'default',
    priority: 'medium',
    label: '',
    clipFrom: '',
    clipTo: '',
  }
}

/** Why the form cannot be sent yet; empty when it can. */
export function draftProblem(draft: JobDraft, file: File | undefined): string {
  if (draft.kind === 'file') return file === undefined ? 'Choose a file.' : file.size === 0 ? 'The file is empty.' : ''
  if (draft.place.trim() === '')
    return draft.kind === 'url' ? 'Write its address.' : draft.kind === 'object' ? 'Write its key.' : 'Choose a stream.'
  if (draft.kind === 'url' && !/^https?:\/\/./.test(draft.place.trim())) return 'An address begins with http:// or https://.'
  if (draft.kind !== 'recording') return ''
  const [fromMs, toMs] = [Date.parse(draft.from), Date.parse(draft.to)]
  if (Number.isNaN(fromMs) || Number.isNaN(toMs)) return 'Say from when to when.'
  return fromMs >= toMs ? 'It ends before it begins.' : ''
}

/** The form as the server takes it. `object` is where an uploaded file is. */
export function jobOf(draft: JobDraft, object: string): JobCreate {
  const { scenario, queue, priority, clipFrom, clipTo } = draft
  const label = draft.label.trim()
  const hasClip = clipFrom !== '' || clipTo !== ''
  return {
    scenario,
    queue,
    priority,
    source: sourceOf(draft, object),
    ...(label === '' ? {} : { label }),
    ...(hasClip
      ? { clip: { fromSeconds: clipFrom === '' ? 0 : clipFrom, ...(clipTo === '' ? {} : { toSeconds: clipTo }) } }
      : {}),
  }
}

function sourceOf({ kind, place, from, to }: JobDraft, object: string): JobCreate['source'] {
  if (kind === 'file') return { object }
  if (kind === 'object') return { object: place.trim() }
  if (kind === 'url') return { url: place.trim() }
  return { recording: { stream: place.trim(), from: new Date(from).toISOString(), to: new Date(to).toISOString() } }
}
