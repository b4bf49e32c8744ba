import { enableCompileCache, flushCompileCache } from 'node:module'

// Before anything else is loaded. `bin/millrace` has done so already, in time for this file too.
enableCompileCache()
await import('#lib/startup-flags.ts')
const { runCommandLine } = await import('#cli/program.ts')
const { ProcessTerminal } = await import('#cli/terminal.ts')
const { systemClock } = await import('#lib/clock.ts')
// What was read of the compiled code is let go here and after each part of a server; all of it at once would leave holes of 8 MB in memory.
flushCompileCache()

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
