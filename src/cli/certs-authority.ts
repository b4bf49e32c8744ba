import { Type } from 'typebox'
import { authorityName, certificatePaths, certsOptions, writeCertificate } from './certificate-files.ts'
import { defineCommand } from './command.ts'

export const certsAuthority = defineCommand({
  name: 'certs authority',
  summary: 'Make an own authority (CA) that signs certificates of servers and clients',
  details: 'It is valid for 10 years. Whoever has its key can make a certificate for each user: keep it off the servers.',
  arguments: Type.Object({}),
  options: Type.Object(certsOptions),
  async run({ options: { directory }, terminal, clock }) {
    const { makeAuthority } = await import('./certificate-maker.ts')
    const paths = certificatePaths(directory, authorityName)
    await writeCertificate(paths, await makeAuthority({ commonName: 'Millrace authority', nowMs: clock.nowMs() }))
    terminal.write(`Authority ${paths.certificate}
Key       ${paths.key} (keep it secret, and off the servers)

Servers that take client certificates:

[tls]
clientAuthority = ${JSON.stringify(paths.certificate)}

Workers, and commands by --authority or MILLRACE_API_AUTHORITY:

[worker]
authority = ${JSON.stringify(paths.certificate)}
`)
  },
})
