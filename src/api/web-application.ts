import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from './app.ts'
import { notFoundHandler } from './error-answers.ts'

/** Paths that are never a page of the application. */
const ownPaths = /^\/(api|hls|health|live|ready|assets)(\/|$)/

const notBuiltPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Millrace</title>
<body style="font: 16px/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>Millrace is running</h1>
<p>The web application is not built. Run <code>npm run build:web</code> in the directory of Millrace, then load this page again.</p>
<p>The <a href="/api">API</a> works without it.</p>
`

/**
 * Serves the built web application at `/`. Its router has paths of its own, so that a page asked for by name gets `index.html`. Files below
 * `assets/` have a hash in their name and never change; all others are asked for again each time.
 */
export async function registerWebApplication(app: App, { directory }: { directory: string }): Promise<void> {
  if (!existsSync(join(directory, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_, reply) => reply.type('text/html; charset=utf-8').send(notBuiltPage))
    app.setNotFoundHandler(notFoundHandler)
    return
  }
  await app.register(fastifyStatic, {
    root: directory,
    cacheControl: false,
    schemaHide: true,
    setHeaders: (reply, path) => {
      void reply.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  app.setNotFoundHandler((request, reply) => (isPage(request) ? sendIndex(reply) : notFoundHandler(request)))
}

function sendIndex(reply: FastifyReply): FastifyReply {
  return reply.code(200).sendFile('index.html')
}

function isPage({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && !ownPaths.test(url.split('?', 1)[0] ?? '') && (headers.accept?.includes('text/html') ?? false)
}
