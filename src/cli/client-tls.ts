import { readFile } from 'node:fs/promises'
import type { Agent } from 'node:https'
import { AppError } from '#lib/errors.ts'
import type { FetchDispatcher } from '#lib/fetch-dispatcher.ts'

/** Paths of PEM files: an own authority to trust besides the public ones, and the client certificate to show. */
export type ClientTlsFiles = {
  readonly authority?: string | undefined
  readonly certificate?: string | undefined
  readonly key?: string | undefined
}

/** How connections over TLS are made: by `fetch` and WebSocket, and by `node:https`. */
export type ClientTls = { readonly dispatcher: FetchDispatcher; readonly agent: Agent }

/** Undefined when no file is named. `USAGE` for files that cannot be used. */
export async function loadClientTls({ authority, certificate, key }: ClientTlsFiles): Promise<ClientTls | undefined> {
  if (authority === undefined && certificate === undefined && key === undefined) return undefined
  if ((certificate === undefined) !== (key === undefined)) {
    throw new AppError('USAGE', '--certificate and --key need each other (MILLRACE_API_CERTIFICATE, MILLRACE_API_KEY)')
  }
  const [{ createSecureContext, getCACertificates }, https, { openFetchDispatcher }] = await Promise.all([
    import('node:tls'),
    import('node:https'),
    import('#lib/fetch-dispatcher.ts'),
  ])
  const [ca, cert, privateKey] = await Promise.all([authority, certificate, key].map(readPem))
  try {
    const secureContext = createSecureContext({
      ...(ca && { ca: [...getCACertificates('default'), ca] }),
      ...(cert && { cert }),
      ...(privateKey && { key: privateKey }),
    })
    return { dispatcher: openFetchDispatcher({ secureContext }), agent: new https.Agent({ secureContext }) }
  } catch (cause) {
    const files = [authority, certificate, key].filter((path) => path !== undefined).join(', ')
    throw new AppError('USAGE', `${files} cannot be used for TLS: ${reasonOf(cause)}`, { cause })
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new AppError('USAGE', `${path} cannot be read: ${reasonOf(cause)}`, { cause })
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
