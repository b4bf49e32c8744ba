import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { taskKinds, type NodeLoad } from '../model.ts'
import type { GpuFigures } from './gpu-figures.ts'
import type { RunOutcome, TaskRun } from './task-run.ts'
import type { WorkerObserver } from './worker-observer.ts'
import type { WorkerStatus } from './worker.ts'

/** What is asked for at each scrape. */
export type WorkerFigures = {
  readonly status: WorkerStatus
  /** Undefined before the first heartbeat. */
  readonly load: NodeLoad | undefined
  /** Kinds of the tasks that run. */
  readonly running: readonly string[]
  readonly apiFailures: number
  /** Empty where there is no graphics card, or none that tells of itself. */
  readonly gpus: readonly GpuFigures[]
}

/** Per card, label `gpu`. */
const gpuGauges: Record<string, { help: string; value: (card: GpuFigures) => number | undefined }> = {
  utilization_percent: { help: 'Time in which a graphics card computed, 0 to 100.', value: (card) => card.utilizationPercent },
  memory_used_bytes: { help: 'Memory of a graphics card that is in use.', value: (card) => card.memoryUsedBytes },
  encoder_utilization_percent: {
    help: 'Time in which the encoder of a graphics card worked, 0 to 100.',
    value: (card) => card.encoderUtilizationPercent,
  },
  temperature_celsius: { help: 'How warm a graphics card is.', value: (card) => card.temperatureCelsius },
}

const durationBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 10_800]

/** Figures of one worker, all with the prefix `millrace_worker_`. */
export class WorkerMetrics implements WorkerObserver {
  readonly registry = new Registry()
  readonly #tasks = this.#counter('tasks_total', 'Attempts that ended, by kind of task and outcome.', ['kind', 'outcome'])
  readonly #frames = this.#counter('frames_total', 'Frames that ended attempts had moved.', ['kind'])
  readonly #sourceBytes = this.#counter('source_bytes_total', 'Bytes of inputs that were fetched.', [])
  readonly #heartbeats = this.#counter('heartbeats_total', 'Heartbeats, by whether the API answered.', ['result'])
  readonly #durations = new Histogram({
    name: 'millrace_worker_task_duration_seconds',
    help: 'From the claim of a task until its outcome was told.',
    labelNames: ['kind'],
    buckets: durationBuckets,
    registers: [this.registry],
  })

  get contentType(): string {
    return this.registry.contentType
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }

  /** Adds what is asked for at each scrape. Once for a worker. */
  watch(figures: () => WorkerFigures): void {
    this.#gauge('slots', 'Slots that the worker has.', () => figures().status.slots)
    this.#gauge('used_slots', 'Slots that tasks take.', () => figures().status.usedSlots)
    this.#gauge('registered', '1 while the API knows the worker and answers it.', () =>
      figures().status.state === 'working' || figures().status.state === 'draining' ? 1 : 0,
    )
    this.#gauge('blocked', '1 while the worker takes no work for a reason of its own, such as a full disk.', () =>
      figures().status.obstacle === undefined ? 0 : 1,
    )
    this.#gauge('cpu_percent', 'Processor time of the machine that is in use, 0 to 100.', () => figures().load?.cpuPercent)
    this.#gauge('memory_bytes', 'Memory of the machine that is in use.', () => figures().load?.memoryBytes)
    this.#gauge('free_disk_bytes', 'Free space where files are made.', () => figures().load?.freeDiskBytes)
    const { registry } = this
    new Counter({
      name: 'millrace_worker_api_failures_total',
      help: 'Requests to the API without an answer.',
      registers: [registry],
      collect() {
        this.reset()
        this.inc(figures().apiFailures)
      },
    })
    new Gauge({
      name: 'millrace_worker_capability',
      help: '1 for each encoder and filter that was found by trying, those of graphics cards among them.',
      labelNames: ['capability'],
      registers: [registry],
      collect() {
        this.reset()
        for (const capability of figures().status.capabilities) this.set({ capability }, 1)
      },
    })
    new Gauge({
      name: 'millrace_worker_running_tasks',
      help: 'Tasks that run, by kind.',
      labelNames: ['kind'],
      registers: [registry],
      collect() {
        const { running } = figures()
        for (const kind of taskKinds) this.set({ kind }, running.filter((one) => one === kind).length)
      },
    })
    this.#watchGpus(() => figures().gpus)
  }

  onTaskEnded(run: TaskRun, outcome: RunOutcome): void {
    const { kind } = run.task.spec
    this.#tasks.inc({ kind, outcome: outcome.kind })
    this.#frames.inc({ kind }, run.held.frames)
    this.#durations.observe({ kind }, (performance.now() - run.startedAtMs) / 1000)
  }

  onSourceBytes(bytes: number): void {
    this.#sourceBytes.inc(bytes)
  }

  onHeartbeat(isAnswered: boolean): void {
    this.#heartbeats.inc({ result: isAnswered ? 'answered' : 'failed' })
  }

  #watchGpus(gpus: () => readonly GpuFigures[]): void {
    for (const [name, { help, value }] of Object.entries(gpuGauges)) {
      new Gauge({
        name: `millrace_worker_gpu_${name}`,
        help,
        labelNames: ['gpu'],
        registers: [this.registry],
        collect() {
          this.reset()
          for (const card of gpus()) {
            const figure = value(card)
            if (figure !== undefined) this.set({ gpu: card.gpu }, figure)
          }
        },
      })
    }
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `millrace_worker_${name}`, help, labelNames, registers: [this.registry] })
  }

  /** Not told while it is not known. */
  #gauge(name: string, help: string, valueOf: () => number | undefined): void {
    new Gauge({
      name: `millrace_worker_${name}`,
      help,
      registers: [this.registry],
      collect() {
        const value = valueOf()
        if (value === undefined) this.remove()
        else this.set(value)
      },
    })
  }
}
