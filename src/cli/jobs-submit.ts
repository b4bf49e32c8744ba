import { Type, type Static } from 'typebox'
import { jobCreateSchema, type JobCreate } from '#api/job-contract.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions, rangeOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'
import { sourceText } from './job-columns.ts'
import { watchJob } from './job-watch.ts'
import { watchOptions } from './jobs-watch.ts'
import { ProgressLine } from './progress-line.ts'
import { uploadSource } from './source-upload.ts'
import type { Terminal } from './terminal.ts'
import { isoRange, parseDurationMs, parseRange } from './time-argument.ts'

const { queue, priority, source, target } = jobCreateSchema.properties
const corners = ['top-left', 'top-right', 'bottom-left', 'bottom-right'] as const

const submitOptions = {
  ...apiOptions,
  scenario: Type.String({
    short: 's',
    minLength: 1,
    placeholder: 'name',
    description: 'How to encode; "millrace scenarios list" shows what there is',
  }),
  queue: Type.Optional(Type.Enum(queue.enum, { description: 'live before default before batch; default when absent' })),
  priority: Type.Optional(Type.Enum(priority.enum, { description: 'Within the queue; medium when absent' })),
  label: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'A name for people' })),
  tenant: Type.Optional(
    Type.String({ minLength: 1, placeholder: 'name', description: 'Who shares the workers fairly with others' }),
  ),
  deadline: Type.Optional(Type.String({ placeholder: 'duration', description: 'Give up after 30m, 6h, …' })),
  from: rangeOptions.from,
  to: rangeOptions.to,
  last: rangeOptions.last,
  target: Type.Optional(
    Type.String({ minLength: 1, placeholder: 'stream', description: 'Live: the stream to publish; the source is a stream, too' }),
  ),
  clipFrom: Type.Optional(Type.String({ placeholder: 'duration', description: 'Leave out what is before, such as 90s' })),
  clipTo: Type.Optional(Type.String({ placeholder: 'duration', description: 'Leave out what is behind, such as 2m30s' })),
  crop: Type.Optional(
    Type.String({
      pattern: '^\\d{1,5}x\\d{1,5}\\+\\d{1,5}\\+\\d{1,5}$',
      placeholder: 'WxH+X+Y',
      description: 'Only this part of the picture',
    }),
  ),
  watermark: Type.Optional(
    Type.String({
      minLength: 1,
      placeholder: 'file',
      description: 'A PNG to lay over the picture: a file here, or object:<key>',
    }),
  ),
  watermarkCorner: Type.Optional(Type.Enum([...corners], { description: 'Where it lies; bottom-right when absent' })),
  idempotencyKey: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      placeholder: 'key',
      description: 'Submitting again with the same key is the same job',
    }),
  ),
  watch: Type.Boolean({
    short: 'w',
    default: false,
    description: 'Watch the job until it is over; exit code 1 unless it completes',
  }),
  ...watchOptions,
}
type SubmitOptions = Static<ReturnType<typeof Type.Object<typeof submitOptions>>>

export const jobsSubmit = defineCommand({
  name: 'jobs submit',
  summary: 'Submit a job: encode a file, an address, or a stretch of a recorded stream',
  details:
    'The source is a file here (it is uploaded first), http(s)://…, object:<key> in the object store, or with --from or --last the name of a recorded stream. With --target it is a live stream.',
  arguments: Type.Object({ source: Type.String({ minLength: 1 }) }),
  options: Type.Object(submitOptions),
  async run({ arguments: typed, options, terminal, environment, clock, signal }) {
    const client = new JobClient(openClient(options, environment))
    const upload = (file: string): Promise<string> => uploadShown({ client, file, terminal, clock, signal })
    const settings = settingsOf(options)
    // A mistake is told before anything is uploaded.
    await client.getScenario(options.scenario)
    const job = await client.submit(
      {
        ...settings,
        source: await sourceOf(typed.source, options, { upload, nowMs: clock.nowMs() }),
        ...(await watermarkOf(options, upload)),
      },
      { idempotencyKey: options.idempotencyKey },
    )
    const isJson = options.json
    if (!options.watch)
      return terminal.write(
        isJson
          ? `${JSON.stringify(job, null, 2)}\n`
          : `Job ${job.id} submitted: ${sourceText(job.input)} as ${job.scenario}\nWatch it with: millrace jobs watch ${job.id}\nor in a browser: ${client.pageOf(job)}\n`,
      )
    await watchJob({ client, id: job.id, terminal, clock, signal, isJson, intervalMs: options.intervalSeconds * 1000 })
  },
})

type Upload = {
  readonly client: JobClient
  readonly file: string
  readonly terminal: Terminal
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Uploads with a progress line; returns the key. */
async function uploadShown({ client, file, terminal, clock, signal }: Upload): Promise<string> {
  const progress = new ProgressLine({ terminal, clock })
  const onProgress = (done: number, total: number): void => progress.update(done, total)
  const agent = await client.agent()
  return await uploadSource({ api: client, file, agent, onProgress, signal }).finally(() => progress.clear())
}

async function sourceOf(
  text: string,
  options: SubmitOptions,
  { upload, nowMs }: { upload: (file: string) => Promise<string>; nowMs: number },
): Promise<Static<typeof source>> {
  if (options.target !== undefined) return { stream: text }
  const { fromMs, toMs = nowMs } = parseRange(options, nowMs)
  if (fromMs !== undefined) {
    const { from = '', to = '' } = isoRange({ fromMs, toMs })
    return { recording: { stream: text, from, to } }
  }
  if (options.to !== undefined) throw new AppError('USAGE', '--to alone says no stretch; give --from or --last, too')
  if (/^https?:\/\//.test(text)) return { url: text }
  return { object: objectKey(text) ?? (await upload(text)) }
}

/** The key in `object:<key>`. */
function objectKey(text: string): string | undefined {
  return text.startsWith('object:') ? text.slice('object:'.length) : undefined
}

function settingsOf(options: SubmitOptions): Omit<JobCreate, 'source'> {
  const { deadline, clipFrom, clipTo, crop } = options
  const [width = 0, height = 0, x = 0, y = 0] = crop?.split(/[x+]/).map(Number) ?? []
  return {
    scenario: options.scenario,
    ...(options.queue === undefined ? {} : { queue: options.queue }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    ...(deadline === undefined ? {} : { deadlineSeconds: Math.max(1, Math.round(parseDurationMs(deadline) / 1000)) }),
    ...(options.target === undefined ? {} : { target: { stream: options.target } satisfies Static<typeof target> }),
    ...(clipFrom === undefined && clipTo === undefined ? {} : { clip: clipOf(clipFrom, clipTo) }),
    ...(crop === undefined ? {} : { crop: { x, y, width, height } }),
  }
}

function clipOf(from: string | undefined, to: string | undefined): NonNullable<JobCreate['clip']> {
  const fromSeconds = from === undefined ? 0 : parseDurationMs(from) / 1000
  if (to === undefined) return { fromSeconds }
  const toSeconds = parseDurationMs(to) / 1000
  if (toSeconds <= fromSeconds) throw new AppError('USAGE', 'the clip ends before it begins; exchange --clip-from and --clip-to')
  return { fromSeconds, toSeconds }
}

async function watermarkOf(
  { watermark, watermarkCorner }: SubmitOptions,
  upload: (file: string) => Promise<string>,
): Promise<Pick<JobCreate, 'watermark'>> {
  if (watermark === undefined) {
    if (watermarkCorner !== undefined) throw new AppError('USAGE', '--watermark-corner needs --watermark <file>')
    return {}
  }
  const object = objectKey(watermark) ?? (await upload(watermark))
  return { watermark: { object, ...(watermarkCorner === undefined ? {} : { corner: watermarkCorner }) } }
}
