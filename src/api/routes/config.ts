import type { App } from '../app.ts'
import { configSchema, type SettingView } from '../contract.ts'
import { failures } from './answers.ts'

/** The configuration in force, secrets hidden, as it is now: it may be reloaded. */
export type ConfigRouteDeps = { readonly config: { list(): readonly SettingView[] } }

const schema = {
  tags: ['status'],
  summary: 'The configuration in force, and where each setting comes from.',
  response: { 200: configSchema, ...failures },
}

export function configRoutes(app: App, { config }: ConfigRouteDeps): void {
  app.get('/config', { schema }, async () => ({ items: [...config.list()] }))
}
