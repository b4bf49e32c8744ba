/** Each costs some memory of the server on each connection. */
const maxNames = 300
/** Texts that were asked once. */
const maxSeen = 1_000

/** Names for prepared statements: for texts that come again. Those that are written for one time, such as a list of some length, are not worth it. */
export class StatementNames {
  readonly #names = new Map<string, string>()
  readonly #seen = new Set<string>()
  readonly #refused = new Set<string>()

  /** Undefined: it is to be sent as it is. */
  nameOf(text: string): string | undefined {
    const name = this.#names.get(text)
    if (name !== undefined || this.#names.size >= maxNames || this.#refused.has(text)) return name
    if (!this.#seen.delete(text)) {
      if (this.#seen.size >= maxSeen) this.#seen.clear()
      this.#seen.add(text)
      return undefined
    }
    const given = `millrace_${this.#names.size + this.#refused.size + 1}`
    this.#names.set(text, given)
    return given
  }

  /** From now on it is sent as it is. */
  refuse(text: string): void {
    if (this.#names.delete(text)) this.#refused.add(text)
  }
}
