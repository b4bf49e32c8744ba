/** What goes over `/api/v1` about jobs, scenarios and nodes, both ways; the rules of `contract.ts` hold here, too. Workers speak `jobs/worker-protocol.ts`. */
import { Type, type Static } from 'typebox'
import {
  packageFactsSchema,
  pictureSchema,
  rollsSchema,
  sourceProbeSchema,
  timelineSchema,
  videoEncoderSchema,
  audioEncoderSchema,
} from '#codec/transcoding.ts'
import { attemptOutcomes, jobStates, nodeStates, priorities, queues, taskKinds, taskStates } from '#jobs/model.ts'
import { jobInputSchema, renditionSchema, scenarioNameSchema, scenarioSchema } from '#jobs/scenario.ts'
import { uploadSchema } from '#jobs/worker-protocol.ts'
import { closed, countSchema, nextCursor, pageQuerySchema, timeSchema } from './contract.ts'

const jobIdSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })
const queueSchema = Type.Enum([...queues], { description: '`live` before `default` before `batch`.' })
const prioritySchema = Type.Enum([...priorities], { description: 'Within a queue.' })
const jobStateSchema = Type.Enum([...jobStates])
const tenantSchema = Type.String({ pattern: '^[a-zA-Z0-9._-]{1,64}$', description: 'Who shares the workers fairly with others.' })
const speedSchema = Type.Number({
  minimum: 0,
  description: 'Seconds of the timeline for each second of the clock; 0 while nothing runs.',
})
const failureSchema = Type.Object({ code: Type.String(), message: Type.String() }, { description: 'What went wrong.' })
const pageFields = pageQuerySchema.properties

export const jobParamsSchema = Type.Object({ id: jobIdSchema }, closed)

// Submitting

/** The body of POST /jobs. What is absent has its default: `default`, `medium`, tenant `default`, no deadline. */
export const jobCreateSchema = Type.Object(
  {
    scenario: scenarioNameSchema,
    queue: Type.Optional(queueSchema),
    priority: Type.Optional(prioritySchema),
    label: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'For people.' })),
    tenant: Type.Optional(tenantSchema),
    deadlineSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 30 * 86_400, description: 'From now; a job that takes longer is given up.' }),
    ),
    ...jobInputSchema.properties,
    watermark: Type.Optional(
      Type.Object(
        {
          ...Type.Partial(jobInputSchema.properties.watermark).properties,
          object: jobInputSchema.properties.watermark.properties.object,
        },
        closed,
      ),
    ),
  },
  { ...closed, title: 'JobCreate' },
)
export type JobCreate = Static<typeof jobCreateSchema>

/** The same key of the same tenant again is the same job: it is given back with 200 instead of 201. */
export const idempotencyHeadersSchema = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
})

/**
 * The body of POST /jobs/sources: a file comes into the object store, to be the `source.object` of a job. With `resume`, fresh URLs for an upload that was begun;
 * parts that were put stay put.
 */
export const sourceCreateSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'Of the file; only its ending matters.' }),
    sizeBytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    resume: Type.Optional(
      Type.Object(
        {
          object: Type.String({ minLength: 1, maxLength: 1024 }),
          uploadId: Type.String({ minLength: 1, maxLength: 1024 }),
          partBytes: Type.Integer({ minimum: 1 }),
        },
        closed,
      ),
    ),
  },
  { ...closed, title: 'SourceCreate' },
)
export type SourceCreate = Static<typeof sourceCreateSchema>
export const sourceUploadSchema = Type.Object(
  { object: Type.String({ description: 'Key in the object store.' }), upload: uploadSchema },
  { title: 'SourceUpload', description: 'Where to PUT the parts: part n, from 0, holds bytes n × `partBytes` and on.' },
)
export type SourceUpload = Static<typeof sourceUploadSchema>
/** The body of POST /jobs/sources/complete. */
export const sourceCompleteSchema = Type.Object(
  {
    object: Type.String({ minLength: 1, maxLength: 1024 }),
    uploadId: Type.String({ minLength: 1, maxLength: 1024 }),
    partBytes: Type.Integer({ minimum: 1 }),
    sizeBytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    etags: Type.Array(Type.String(), { minItems: 1, maxItems: 10_000, description: 'What each PUT answered, in order.' }),
  },
  { ...closed, title: 'SourceComplete' },
)
export type SourceComplete = Static<typeof sourceCompleteSchema>
export const sourceObjectSchema = Type.Object({ object: Type.String(), sizeBytes: countSchema }, { title: 'SourceObject' })

// Jobs

export const jobListQuerySchema = Type.Object(
  {
    ...pageFields,
    state: Type.Optional(
      Type.String({
        pattern: `^(${jobStates.join('|')})(,(${jobStates.join('|')}))*$`,
        description: 'Only these states, separated by commas.',
      }),
    ),
    queue: Type.Optional(queueSchema),
    tenant: Type.Optional(tenantSchema),
    scenario: Type.Optional(scenarioNameSchema),
    search: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Part of the id or label.' })),
  },
  closed,
)
export type JobListQuery = Static<typeof jobListQuerySchema>

const jobFields = {
  id: jobIdSchema,
  sequence: Type.Integer({ minimum: 0, description: 'Grows with each submit.' }),
  tenant: tenantSchema,
  scenario: scenarioNameSchema,
  queue: queueSchema,
  priority: prioritySchema,
  state: jobStateSchema,
  isOver: Type.Boolean({ description: 'Nothing more happens to it, unless it is retried.' }),
  isCancelRequested: Type.Boolean(),
  generation: Type.Integer({ minimum: 1, description: '1, and one more for each retry by hand.' }),
  label: Type.Optional(Type.String()),
  input: jobInputSchema,
  error: Type.Optional(failureSchema),
  deadlineAt: Type.Optional(timeSchema),
  createdAt: timeSchema,
  startedAt: Type.Optional(timeSchema),
  finishedAt: Type.Optional(timeSchema),
  taskCount: Type.Integer({ minimum: 0, description: 'Grows when the source has been probed.' }),
  doneCount: countSchema,
  frames: Type.Integer({ minimum: 0, description: 'Frames done, over all renditions.' }),
  totalFrames: Type.Integer({ minimum: 0, description: 'Frames to be done, 0 before the source has been probed.' }),
  progress: Type.Number({ minimum: 0, maximum: 1 }),
}
export const jobSummarySchema = Type.Object(jobFields, { title: 'JobSummary' })
export type JobSummary = Static<typeof jobSummarySchema>
export const jobListSchema = Type.Object({ items: Type.Array(jobSummarySchema), nextCursor }, { description: 'Newest first.' })
export type JobList = Static<typeof jobListSchema>

export const taskViewSchema = Type.Object(
  {
    id: countSchema,
    kind: Type.Enum([...taskKinds]),
    rendition: Type.String(),
    chunk: countSchema,
    state: Type.Enum([...taskStates], {
      description: '`blocked`: waits for other tasks; `ready`: for a worker; `leased`: a worker has it.',
    }),
    cost: Type.Integer({ minimum: 0, description: 'Slots that it takes.' }),
    needs: Type.Array(Type.String(), { description: 'Capabilities that a worker must have.' }),
    attempt: Type.Integer({ minimum: 0, description: 'Tries that were counted.' }),
    lostCount: Type.Integer({ minimum: 0, description: 'Workers that went away with it.' }),
    nodeId: Type.Optional(Type.String({ description: 'The worker that has it, or had it last.' })),
    frames: countSchema,
    totalFrames: Type.Integer({ minimum: 0, description: '0 where frames are not counted.' }),
    speed: speedSchema,
    runAfter: Type.Optional(timeSchema),
    leasedAt: Type.Optional(timeSchema),
    finishedAt: Type.Optional(timeSchema),
    error: Type.Optional(failureSchema),
  },
  { title: 'Task' },
)
export type TaskView = Static<typeof taskViewSchema>
export const taskListSchema = Type.Object({ items: Type.Array(taskViewSchema), nextCursor })

/** What the probe found and what the job makes of it. */
export const planViewSchema = Type.Object(
  {
    probe: sourceProbeSchema,
    startMs: Type.Number({ description: 'Of the clip, on the clock of the source.' }),
    durationMs: Type.Number({ minimum: 0 }),
    renditions: Type.Array(
      Type.Object({
        name: Type.String(),
        timeline: timelineSchema,
        picture: pictureSchema,
        video: videoEncoderSchema,
        chunkCount: countSchema,
        rolls: rollsSchema,
      }),
    ),
    audio: Type.Array(
      Type.Object({
        name: Type.String(),
        track: countSchema,
        audio: audioEncoderSchema,
        language: Type.Optional(Type.String()),
        title: Type.Optional(Type.String()),
        isDefault: Type.Boolean(),
      }),
    ),
    singlePiece: Type.Optional(Type.String({ description: 'Why the pictures are encoded in one piece; absent: they are not.' })),
  },
  { title: 'JobPlan' },
)
export type PlanView = Static<typeof planViewSchema>

export const jobResultSchema = Type.Object(
  {
    ...packageFactsSchema.properties,
    prefix: Type.String({ description: 'What the keys of the files begin with in the object store.' }),
    entryUrl: Type.String({ description: 'What a player opens; names of other files resolve against it.' }),
    files: Type.Array(
      Type.Object({
        ...packageFactsSchema.properties.files.items.properties,
        url: Type.String({ description: 'Path on this server: `/api/v1/jobs/<id>/files/<name>`.' }),
      }),
    ),
  },
  { title: 'JobResult' },
)
export type JobResult = Static<typeof jobResultSchema>
export const jobFileParamsSchema = Type.Object(
  { id: jobIdSchema, name: Type.String({ pattern: '^[a-zA-Z0-9._-]{1,120}$' }) },
  closed,
)

export const jobViewSchema = Type.Object(
  {
    ...jobFields,
    speed: Type.Number({ minimum: 0, description: 'Of all its running tasks together.' }),
    secondsLeft: Type.Optional(Type.Number({ minimum: 0, description: 'About; absent while nobody can say.' })),
    tasks: Type.Array(taskViewSchema, { description: 'Of the present generation.' }),
    plan: Type.Optional(planViewSchema),
    result: Type.Optional(jobResultSchema),
  },
  { title: 'Job' },
)
export type JobView = Static<typeof jobViewSchema>

export const attemptViewSchema = Type.Object(
  {
    taskId: countSchema,
    kind: Type.Enum([...taskKinds]),
    rendition: Type.String(),
    chunk: countSchema,
    fence: countSchema,
    nodeId: Type.String(),
    outcome: Type.Enum([...attemptOutcomes], {
      description:
        '`lost`: its worker was; `stale`: its frames stood still; `released`: given back by a worker that stopped; `input`: a file it reads was damaged.',
    }),
    error: Type.Optional(failureSchema),
    startedAt: timeSchema,
    endedAt: timeSchema,
  },
  { title: 'Attempt' },
)
export type AttemptView = Static<typeof attemptViewSchema>
export const attemptListSchema = Type.Object(
  { items: Type.Array(attemptViewSchema), nextCursor },
  { description: 'Oldest first.' },
)

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export const jobLogQuerySchema = Type.Object(
  {
    ...pageFields,
    task: Type.Optional(Type.Integer({ minimum: 0, description: 'Only lines of this task.' })),
    level: Type.Optional(Type.Enum([...logLevels], { description: 'The least important kind that is wanted.' })),
    tail: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'Begin so many lines before the end; not with `cursor`.' }),
    ),
  },
  closed,
)
export type JobLogQuery = Static<typeof jobLogQuerySchema>
export const logLineViewSchema = Type.Object(
  {
    id: countSchema,
    taskId: countSchema,
    at: timeSchema,
    level: Type.Enum([...logLevels]),
    text: Type.String(),
  },
  { title: 'LogLine' },
)
export type LogLineView = Static<typeof logLineViewSchema>
export const logLineListSchema = Type.Object(
  {
    items: Type.Array(logLineViewSchema),
    nextCursor: Type.String({ description: 'Pass it as `cursor` to go on; always there, also at the end.' }),
  },
  { description: 'Oldest first.' },
)

/** The answer of GET /jobs/counts. */
export const jobCountsSchema = Type.Object(
  {
    jobs: Type.Record(jobStateSchema, countSchema),
    readyTasks: Type.Record(queueSchema, countSchema),
    leasedTasks: countSchema,
    oldestReadyMs: Type.Optional(Type.Number({ minimum: 0, description: 'How long the oldest ready task has waited.' })),
  },
  { title: 'JobCounts' },
)
export type JobCountsView = Static<typeof jobCountsSchema>

// Scenarios

export const scenarioParamsSchema = Type.Object({ name: scenarioNameSchema }, closed)
export const scenarioViewSchema = Type.Object(
  {
    ...scenarioSchema.properties,
    origin: Type.Enum(['preset', 'file', 'api'], { description: 'Only those of the API can be changed and removed.' }),
  },
  { title: 'Scenario' },
)
export type ScenarioView = Static<typeof scenarioViewSchema>
export const scenarioListSchema = Type.Object({ items: Type.Array(scenarioViewSchema), nextCursor })

/** The body of POST /scenarios. What is absent has its default. */
export const scenarioCreateSchema = Type.Object(
  {
    ...Type.Partial(scenarioSchema).properties,
    name: scenarioNameSchema,
    renditions: Type.Array(
      Type.Object(
        { ...renditionSchema.properties, allowUpscale: Type.Optional(renditionSchema.properties.allowUpscale) },
        closed,
      ),
      { maxItems: 16, description: 'None: only sound.' },
    ),
  },
  { ...closed, title: 'ScenarioCreate' },
)
export type ScenarioCreate = Static<typeof scenarioCreateSchema>

/** The body of PUT /scenarios/:name: all of it anew. */
export const scenarioChangeSchema = Type.Omit(scenarioCreateSchema, ['name'], { ...closed, title: 'ScenarioChange' })

// Nodes

const nodeIdSchema = Type.String({ pattern: '^[a-zA-Z0-9._-]{1,100}$' })
export const nodeParamsSchema = Type.Object({ id: nodeIdSchema }, closed)
export const nodeViewSchema = Type.Object(
  {
    id: nodeIdSchema,
    name: Type.String(),
    version: Type.String(),
    roles: Type.Array(Type.String()),
    state: Type.Enum([...nodeStates], { description: '`draining`: it finishes what it has and gets nothing new.' }),
    epoch: Type.Integer({ minimum: 0, description: 'Grows with each start of its process.' }),
    slots: countSchema,
    usedSlots: countSchema,
    liveSlots: Type.Integer({ minimum: 0, description: 'Of those used, for live jobs.' }),
    capabilities: Type.Array(Type.String()),
    load: Type.Optional(Type.Object({ cpuPercent: Type.Number(), memoryBytes: countSchema, freeDiskBytes: countSchema })),
    registeredAt: timeSchema,
    seenAt: timeSchema,
    leaseUntil: timeSchema,
  },
  { title: 'Node' },
)
export type NodeView = Static<typeof nodeViewSchema>
export const nodeListSchema = Type.Object({ items: Type.Array(nodeViewSchema), nextCursor })
