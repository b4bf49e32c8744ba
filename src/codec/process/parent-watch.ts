import { workerData } from 'node:worker_threads'

/** A worker thread of each codec process: ends the process when its parent, whose id is `workerData`, is gone. */
const intervalMs = 1000

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL')
}, intervalMs)
