import { flushCompileCache } from 'node:module'

/** Run after the installation: compiles the program, so that its very first start is as quick as all others. */
await import('#cli/program.ts')
await import('#cli/terminal.ts')
await import('#roles/node.ts')
await import('#store/sql/sqlite-dialect.ts')
flushCompileCache()
