import type { System } from './log-wire.ts'

/** What the producing process is told to do. */
export type ProduceOrder = {
  readonly system: System
  readonly port: number
  readonly connections: number
  /** Batches that each connection has sent and that are not acknowledged. */
  readonly inFlight: number
  /** Of a batch. */
  readonly records: number
  readonly valueBytes: number
  readonly warmupMs: number
  readonly measuredMs: number
  /** Each connection sends no more than this, and the process ends when all of it is acknowledged. */
  readonly batchesPerConnection?: number
}

/** Latency: from the sending of a batch to its last acknowledgement. */
export type Produced = {
  readonly recordsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly clientCores: number
}

/** What the consuming process is told to do: read all lanes from the start to the end, once, or again and again for a time. */
export type ConsumeOrder = {
  readonly system: Extract<System, 'kafka' | 'nats' | 'redis'>
  readonly port: number
  readonly valueBytes: number
  readonly warmupMs: number
  /** 0: once. */
  readonly measuredMs: number
}

export type Consumed = { readonly records: number; readonly recordsPerSecond: number; readonly clientCores: number }
