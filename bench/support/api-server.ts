/** An API server over a log of its own, for benchmarks: prints its address, ends with its standard input. */
import { pino } from 'pino'
import { startApi } from '../../src/api/api.fixture.ts'

await using api = await startApi({ log: pino({ level: 'silent' }) })
console.log(api.server.url)
for await (const _ of process.stdin);
