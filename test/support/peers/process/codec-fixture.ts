import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { once } from 'node:events'
import { ParentPort } from '#codec/process/parent-port.ts'
import { AppError } from '#lib/errors.ts'

// A codec process without a codec: it does on request what such processes do to their parent in bad moments.

const parent = new ParentPort({
  echo: async (params, { payload }) => ({ value: params, payload }),
  refuse: async () => {
    throw new AppError('UNSUPPORTED', 'no such pixel format')
  },
  emit: async (params) => {
    parent.emit(params)
    return {}
  },
  wait: async (_params, { signal }) => {
    if (!signal.aborted) await once(signal, 'abort')
    parent.emit('cancelled')
    return {}
  },
  environment: async () => ({ value: process.env }),
  crash: async () => {
    writeSync(2, 'opening rtsp://user:secret@camera/1\nabout to crash')
    process.kill(process.pid, 'SIGSEGV')
    return {}
  },
  hang: async () => {
    for (;;);
  },
  ignoreTerm: async () => {
    process.on('SIGTERM', () => undefined)
    setInterval(() => undefined, 1000)
    return {}
  },
  startGrandchild: async () => {
    const { pid } = spawn('/bin/sh', ['-c', 'trap "" TERM; sleep 1000 & wait'], { stdio: 'ignore' })
    return { value: pid }
  },
  talkNonsense: async () => {
    writeSync(3, Buffer.from('ffffffffffffffff', 'hex'))
    return {}
  },
})
