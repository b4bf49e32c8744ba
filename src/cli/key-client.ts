import { keyListSchema, shownKeySchema, type KeyCreate, type KeyView, type ShownKeyView } from '#api/key-contract.ts'
import { allPages, type ApiClient } from './client.ts'

/** The API keys of a running server. Fails as `ApiClient` does. */
export class KeyClient {
  readonly #api: ApiClient

  constructor(api: ApiClient) {
    this.#api = api
  }

  list(): Promise<KeyView[]> {
    return allPages((page) => this.#api.ask('keys', keyListSchema, { query: page }))
  }

  create(key: KeyCreate): Promise<ShownKeyView> {
    return this.#api.ask('keys', shownKeySchema, { method: 'POST', body: key })
  }

  rotate(id: string, { overlapSeconds }: { overlapSeconds: number | undefined }): Promise<ShownKeyView> {
    return this.#api.ask(`keys/${encodeURIComponent(id)}/rotate`, shownKeySchema, { method: 'POST', query: { overlapSeconds } })
  }

  async revoke(id: string): Promise<void> {
    await this.#api.send(`keys/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }
}
