import type { LogMetadata } from '#eventlog/metadata/log-metadata.ts'

/** Does a call, or does not, or loses its answer. */
export type MetadataCall = <T>(method: string, step: () => Promise<T>) => Promise<T>

/** A database behind a network: every call of it goes through `call`. */
export function simMetadata(real: LogMetadata, call: MetadataCall): LogMetadata {
  return new Proxy(real, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function' || typeof name === 'symbol') return method
      return (...given: unknown[]) => call(name, async (): Promise<unknown> => await Reflect.apply(method, target, given))
    },
  })
}
