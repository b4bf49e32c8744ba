import type { AttemptView, JobView, LogLineView, NodeView, PlanView, ScenarioView, TaskView } from '#api/job-contract.ts'

/** Jobs, scenarios and nodes as the API shows them, for tests of whoever shows them to people. */

const startMs = Date.parse('2026-01-02T10:00:00Z')

/** So many seconds after the samples begin. */
export function sampleTime(seconds: number): string {
  return new Date(startMs + seconds * 1000).toISOString()
}

const rates = { '1080p': 1080, '720p': 720, '480p': 480 } as const
const chunkFrames = 1500

/** Tasks of a film of five chunks in three renditions. `done` chunks of each are encoded, one more is at work. */
export function sampleTasks({ done = 2, failed = -1 } = {}): TaskView[] {
  const task = (id: number, kind: TaskView['kind'], more: Partial<TaskView>): TaskView => ({
    id,
    kind,
    rendition: '',
    chunk: 0,
    state: 'done',
    cost: 1,
    needs: [],
    attempt: 1,
    lostCount: 0,
    nodeId: 'encoder-1',
    frames: 0,
    totalFrames: 0,
    speed: 0,
    ...more,
  })
  const videos = Object.keys(rates).flatMap((rendition, row) =>
    Array.from({ length: 5 }, (_, chunk) => {
      const state = chunk < done ? 'done' : chunk > done ? 'ready' : chunk === failed ? 'failed' : 'leased'
      const frames = state === 'done' ? chunkFrames : state === 'leased' ? 300 * (row + 1) : 0
      return task(10 + row * 5 + chunk, 'video', {
        rendition,
        chunk,
        state,
        frames,
        totalFrames: chunkFrames,
        needs: ['encoder:libx264'],
        ...(state === 'leased' ? { nodeId: `encoder-${row + 1}`, speed: 1.5 - row * 0.4, leasedAt: sampleTime(60) } : {}),
        ...(state === 'failed' ? { error: { code: 'CODEC_FAILED', message: 'the codec process ended with SIGKILL' } } : {}),
        ...(chunk === 1 && row === 0 ? { attempt: 2, lostCount: 1 } : {}),
      })
    }),
  )
  const isEncoded = done >= 5
  return [
    task(1, 'probe', {}),
    ...videos,
    task(30, 'audio', { rendition: 'audio-0', state: 'done' }),
    task(31, 'pictures', { state: done > 0 ? 'done' : 'ready' }),
    task(32, 'package', { state: isEncoded ? 'done' : 'blocked', attempt: 0 }),
  ]
}

export function samplePlan(): PlanView {
  const frameRate = { num: 25, den: 1 }
  const color = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' } as const
  const timeline = { startMs: 0, frameRate, frameCount: 5 * chunkFrames }
  return {
    startMs: 0,
    durationMs: 300_000,
    probe: {
      format: 'mov,mp4,m4a',
      durationMs: 300_000,
      sizeBytes: 214_000_000,
      video: {
        codec: 'h264',
        width: 1920,
        height: 1080,
        pixelFormat: 'yuv420p',
        bitDepth: 8,
        pixelAspect: { num: 1, den: 1 },
        frameRate,
        isVariableRate: false,
        frameCount: 5 * chunkFrames,
        rotationDegrees: 0,
        fieldOrder: 'progressive',
        color,
        keyframeCount: 150,
        longestGopMs: 2000,
        startMs: 0,
      },
      audio: [{ track: 0, codec: 'aac', channels: 2, sampleRate: 48_000, language: 'eng', startMs: 0, durationMs: 300_000 }],
    },
    renditions: Object.entries(rates).map(([name, height]) => ({
      name,
      timeline,
      chunkCount: 5,
      rolls: { stillFrames: 300, preRollFrames: 0, postRollFrames: 100 },
      picture: { deinterlace: false, rotationDegrees: 0, width: Math.round((height * 16) / 18) * 2, height },
      video: {
        codec: 'h264',
        encoder: 'libx264',
        rate: { mode: 'crf', crf: 21 },
        preset: 'medium',
        bitDepth: 8,
        gopFrames: 50,
        threads: 2,
        color,
      },
    })),
    audio: [
      {
        name: 'audio-0',
        track: 0,
        language: 'eng',
        isDefault: true,
        audio: { codec: 'aac', bitsPerSecond: 128_000, channels: 2, sampleRate: 48_000, normalize: true },
      },
    ],
  }
}

/** A job that has done so many chunks; at 5 it is completed. */
export function sampleJob({ id = 'job-1', done = 2, ...more }: Partial<JobView> & { done?: number } = {}): JobView {
  const tasks = sampleTasks({ done })
  const frames = tasks.reduce((sum, task) => sum + task.frames, 0)
  const totalFrames = 15 * chunkFrames
  const isOver = done >= 5
  return {
    id,
    sequence: 1,
    tenant: 'default',
    scenario: 'abr-ladder',
    queue: 'default',
    priority: 'medium',
    state: isOver ? 'completed' : 'running',
    isOver,
    isCancelRequested: false,
    generation: 1,
    input: { source: { object: 'sources/1/harbour at dawn.mp4' } },
    createdAt: sampleTime(0),
    startedAt: sampleTime(2),
    ...(isOver ? { finishedAt: sampleTime(182), result: sampleResult(id) } : {}),
    taskCount: tasks.length,
    doneCount: tasks.filter(({ state }) => state === 'done').length,
    frames,
    totalFrames,
    progress: isOver ? 1 : (frames / totalFrames) * 0.98,
    speed: isOver ? 0 : 3.3,
    ...(isOver ? {} : { secondsLeft: 95 }),
    tasks,
    plan: samplePlan(),
    ...more,
  }
}

/** A job of which nothing is known yet. */
export function sampleQueuedJob(more: Partial<JobView> = {}): JobView {
  const { plan: _, startedAt: __, secondsLeft: ___, ...job } = sampleJob()
  const [probe] = job.tasks
  return {
    ...job,
    state: 'queued',
    taskCount: 1,
    doneCount: 0,
    frames: 0,
    totalFrames: 0,
    progress: 0,
    speed: 0,
    tasks: probe ? [{ ...probe, state: 'ready', attempt: 0 }] : [],
    ...more,
  }
}

function sampleResult(id: string): NonNullable<JobView['result']> {
  const base = `/api/v1/jobs/${id}/files`
  const files = [
    { name: 'master.m3u8', sizeBytes: 812, contentType: 'application/vnd.apple.mpegurl' },
    { name: 'manifest.mpd', sizeBytes: 2210, contentType: 'application/dash+xml' },
    { name: 'video-1080p.mp4', sizeBytes: 118_000_000, contentType: 'video/mp4' },
    { name: 'video-720p.mp4', sizeBytes: 61_000_000, contentType: 'video/mp4' },
    { name: 'video-480p.mp4', sizeBytes: 28_000_000, contentType: 'video/mp4' },
    { name: 'audio-0.mp4', sizeBytes: 4_800_000, contentType: 'audio/mp4' },
    { name: 'poster.jpg', sizeBytes: 96_000, contentType: 'image/jpeg' },
  ]
  const tracks = Object.entries(rates).map(([name, height], index) => ({
    name,
    kind: 'video' as const,
    codecs: 'avc1.640028',
    width: Math.round((height * 16) / 18) * 2,
    height,
    frameCount: 7500,
    durationMs: 300_000,
    sizeBytes: files[2 + index]?.sizeBytes ?? 0,
    averageBitsPerSecond: 3_146_000 / (index + 1),
    peakBitsPerSecond: 5_020_000 / (index + 1),
  }))
  return {
    entry: 'master.m3u8',
    durationMs: 300_000,
    prefix: `jobs/${id}/out/3/`,
    entryUrl: `${base}/master.m3u8`,
    tracks: tracks.map((track) => ({
      ...track,
      averageBitsPerSecond: Math.round(track.averageBitsPerSecond),
      peakBitsPerSecond: Math.round(track.peakBitsPerSecond),
    })),
    files: files.map((file) => ({ ...file, url: `${base}/${file.name}` })),
  }
}

export function sampleAttempts(): AttemptView[] {
  const attempt = {
    taskId: 11,
    kind: 'video',
    rendition: '1080p',
    chunk: 1,
    nodeId: 'encoder-2',
    startedAt: sampleTime(10),
  } as const
  return [
    { ...attempt, fence: 1, outcome: 'lost', endedAt: sampleTime(41) },
    { ...attempt, fence: 2, nodeId: 'encoder-1', outcome: 'done', startedAt: sampleTime(42), endedAt: sampleTime(71) },
  ]
}

export function sampleLogLine(id: number, more: Partial<LogLineView> = {}): LogLineView {
  return { id, taskId: 11, at: sampleTime(id), level: 'info', text: `line ${id}`, ...more }
}

export function sampleScenario(more: Partial<ScenarioView> = {}): ScenarioView {
  return {
    name: 'abr-ladder',
    description: 'A ladder for the web: H.264 with AAC.',
    kind: 'vod',
    format: 'cmaf',
    origin: 'preset',
    renditions: Object.entries(rates).map(([name, height]) => ({
      name,
      height,
      codec: 'h264',
      rate: { mode: 'crf', crf: 21 },
      allowUpscale: false,
    })),
    audio: { codec: 'aac', bitsPerSecond: 128_000, channels: 2, sampleRate: 48_000, normalize: true },
    chunkSeconds: 60,
    gopSeconds: 2,
    segmentSeconds: 6,
    deinterlace: 'auto',
    hdr: 'keep',
    pictures: true,
    ...more,
  }
}

export function sampleNode(more: Partial<NodeView> = {}): NodeView {
  return {
    id: 'encoder-1',
    name: 'encoder-1',
    version: '0.1.0',
    roles: ['worker'],
    state: 'active',
    epoch: 3,
    slots: 8,
    usedSlots: 5,
    liveSlots: 0,
    capabilities: ['encoder:aac', 'encoder:libx264', 'encoder:libx265'],
    load: { cpuPercent: 71.4, memoryBytes: 2_400_000_000, freeDiskBytes: 180_000_000_000 },
    registeredAt: sampleTime(-3600),
    seenAt: sampleTime(58),
    leaseUntil: sampleTime(90),
    ...more,
  }
}
