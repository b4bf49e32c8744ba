import type { Agent } from 'node:https'
import { Check } from 'typebox/value'
import { anySignal } from '#lib/abort.ts'
import type { Logger } from '#lib/log.ts'
import { objectPlaceSchema, type ObjectPlace } from '#store/objects/object-place.ts'
import { partUpload } from '#store/objects/part-upload.ts'
import { SharedDirectory } from '#store/objects/store-place.ts'
import { transferPath } from '#store/objects/transfers.ts'
import type { InputFile } from '../worker-protocol.ts'
import { postJson } from './post-json.ts'
import type { TlsConnections } from './worker-tls.ts'

const answerMs = 5000
/** A server whose directory is not here is not asked again for so long. */
const absentMs = 60_000

/**
 * Objects that a worker sees as files, because it shares a machine and a directory with the API: they are read where they lie, and finished files become objects
 * without being sent. Who has a signed URL asks the API for the object's place; whatever does not fit is moved over the URL as everywhere else.
 */
export class ObjectPlaces {
  readonly #log: Logger
  readonly #tls: Pick<TlsConnections, 'agent'> | undefined
  readonly #absentUntilMs = new Map<string, number>()

  constructor({ log, tls }: { log: Logger; tls?: Pick<TlsConnections, 'agent'> | undefined }) {
    this.#log = log
    this.#tls = tls
  }

  /** Paths of those inputs that are files here, by their names. */
  async findInputs(inputs: readonly InputFile[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const paths = new Map<string, string>()
    for (const { name, url, sizeBytes } of inputs) {
      const found = await this.#find(url, signal)
      const path = await found?.directory.findFile(found.place.key, sizeBytes)
      if (path !== undefined) paths.set(name, path)
    }
    return paths
  }

  /** Puts a whole file to where the URL of its first part leads. The tags of all parts, or undefined when it must be sent. */
  async adopt(url: string, path: string, signal: AbortSignal): Promise<string[] | undefined> {
    const found = await this.#find(url, signal)
    const { key, upload } = found?.place ?? {}
    if (!found || key === undefined || upload === undefined) return undefined
    try {
      return await found.directory.adopt(partUpload({ key, ...upload }), path)
    } catch (error) {
      this.#log.debug({ key, error: String(error) }, 'a file cannot be moved into the object store; it is sent')
      return undefined
    }
  }

  async #find(
    url: string,
    signal: AbortSignal,
  ): Promise<{ readonly place: ObjectPlace; readonly directory: SharedDirectory } | undefined> {
    const { origin, pathname, searchParams } = new URL(url)
    const token = searchParams.get('token')
    if (!pathname.endsWith(transferPath) || token === null || performance.now() < (this.#absentUntilMs.get(origin) ?? 0)) {
      return undefined
    }
    const place = await askPlace(new URL(`${pathname}/place`, origin), token, { signal, agent: this.#tls?.agent })
    const directory = place && (await SharedDirectory.find(place))
    if (place && directory) return { place, directory }
    this.#absentUntilMs.set(origin, performance.now() + absentMs)
    return undefined
  }
}

/** Undefined for whatever is no place: the URL tells better what is wrong. Throws the reason of a fired signal. */
async function askPlace(
  url: URL,
  token: string,
  { signal, agent }: { signal: AbortSignal; agent: Agent | undefined },
): Promise<ObjectPlace | undefined> {
  try {
    const json = JSON.stringify({ token })
    const patience = AbortSignal.timeout(answerMs)
    const { status, text } = await postJson(url, { json, headers: {}, signal: anySignal(signal, patience), agent })
    const answer: unknown = status === 200 ? JSON.parse(text) : undefined
    return Check(objectPlaceSchema, answer) ? answer : undefined
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}
