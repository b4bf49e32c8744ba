import { Type } from 'typebox'
import { authorityName, certificatePaths, leafOptions, readAuthority, writeCertificate } from './certificate-files.ts'
import { defineCommand } from './command.ts'

export const certsClient = defineCommand({
  name: 'certs client',
  summary: 'Make the certificate of a user: of a worker, a program or a person',
  details: 'Whoever presents it over HTTPS is the user of that name in [[users]], without a password.',
  arguments: Type.Object({
    user: Type.String({ minLength: 1, maxLength: 64, pattern: '^[^:"\\s]+$', description: 'Name of the user' }),
  }),
  options: Type.Object(leafOptions),
  async run({ arguments: { user }, options: { directory, days }, terminal, clock }) {
    const { makeLeaf } = await import('./certificate-maker.ts')
    const authority = await readAuthority(directory)
    const paths = certificatePaths(directory, user)
    const made = await makeLeaf({ authority, commonName: user, usage: 'client', days, nowMs: clock.nowMs() })
    await writeCertificate(paths, made)
    terminal.write(`Certificate ${paths.certificate} of user ${JSON.stringify(user)}
Key         ${paths.key}

On the server:

[[users]]
name = ${JSON.stringify(user)}
admin = true   # workers and whoever changes things

On a worker; commands take --authority, --certificate and --key:

[worker]
authority = ${JSON.stringify(certificatePaths(directory, authorityName).certificate)}
certificate = ${JSON.stringify(paths.certificate)}
key = ${JSON.stringify(paths.key)}
`)
  },
})
