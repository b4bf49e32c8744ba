import { enableCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'

// Before anything else is loaded. `bin/millrace` has done so already, in time for this file too.
enableCompileCache()
// Media is memory outside V8's heap, which by default makes it collect often: 50 MB/s of frames cost 5 full collections a second over 35 MB of
// objects. Counted as heap, it is collected when half of what was left has been added. 100 recorded and packaged streams of 4 Mbit/s:
//   growing percent            20     50    100    200
//   cores                    0.14   0.14   0.15   0.13
//   of which V8's threads   0.026  0.026  0.020  0.013
//   resident MB               529    582    647    958
//   event loop p99 ms          31     24     16     21
setFlagsFromString('--external-memory-accounted-in-global-limit')
setFlagsFromString('--heap-growing-percent=50')
const { runCommandLine } = await import('#cli/program.ts')
const { ProcessTerminal } = await import('#cli/terminal.ts')
const { systemClock } = await import('#lib/clock.ts')

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // The second time nobody wants to wait any longer.
    if (interrupt.signal.aborted) process.exit(1)
    interrupt.abort()
  })
}

const environment = process.env
const terminal = new ProcessTerminal(environment)
process.exit(await runCommandLine(process.argv.slice(2), { terminal, environment, clock: systemClock, signal: interrupt.signal }))
