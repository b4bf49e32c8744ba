import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import { certificatePaths, leafOptions, readAuthority, writeCertificate } from './certificate-files.ts'
import { defineCommand } from './command.ts'

export const certsServer = defineCommand({
  name: 'certs server',
  summary: 'Make the certificate of a server, signed by the own authority',
  arguments: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 253, description: 'Name or address under which clients reach it' }),
  }),
  options: Type.Object({
    ...leafOptions,
    also: Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
      default: [],
      maxItems: 100,
      placeholder: 'name',
      description: 'One more name or address, such as localhost or 127.0.0.1; may come again',
    }),
  }),
  async run({ arguments: { name }, options: { directory, days, also }, terminal, clock }) {
    const { makeLeaf } = await import('./certificate-maker.ts')
    const names = [...new Set([name, ...also].map(hostOf))]
    const authority = await readAuthority(directory)
    const paths = certificatePaths(directory, name)
    // Names are in the subjectAltName; the common name is for people, and has room for 64 characters.
    const commonName = name.slice(0, 64)
    const made = await makeLeaf({ authority, commonName, usage: 'server', names, days, nowMs: clock.nowMs() })
    await writeCertificate(paths, made)
    terminal.write(`Certificate ${paths.certificate} for ${names.join(', ')}
Key         ${paths.key}

[api]
tlsPort = 3443

[tls]
certificate = ${JSON.stringify(paths.certificate)}
key = ${JSON.stringify(paths.key)}
`)
  },
})

/** As it stands in a certificate. */
function hostOf(text: string): string {
  if (isIP(text) > 0) return text
  const wildcard = text.startsWith('*.') ? '*.' : ''
  const ascii = domainToASCII(text.slice(wildcard.length))
  if (/^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*$/.test(ascii)) return wildcard + ascii
  throw new AppError('USAGE', `"${text}" is no name or address of a machine; write it without scheme and port`)
}
