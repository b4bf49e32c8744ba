import { AppError } from '../errors.ts'
import { convertText } from './convert.ts'
import { fillDefaults } from './defaults.ts'
import type { ConfigurationFile } from './file.ts'
import { formatKeyPath, type KeyPath } from './key-path.ts'
import { isPlainSecret } from './secrets.ts'
import { findShape, type ObjectShape } from './shape.ts'
import { substitute } from './substitute.ts'
import { leafPaths, mapTable, mapTexts, setAt, type Table } from './tree.ts'
import { findProblems, type Finding } from './validate.ts'

/** A mistake in the configuration. `origin` is `<file>:<line>`, `environment NAME` or `flag --name`. */
export type ConfigurationProblem = { readonly origin: string; readonly key: string; readonly message: string }

/** A configuration while it is put together: the tree so far, where its values come from, and all that is wrong with it. */
export class Draft {
  readonly #shape: ObjectShape
  readonly #file: ConfigurationFile | undefined
  /** Of the values that are not from the file. */
  readonly #origins = new Map<string, string>()
  readonly #problems: ConfigurationProblem[] = []
  #tree: Table = {}

  constructor(shape: ObjectShape, file: ConfigurationFile | undefined) {
    this.#shape = shape
    this.#file = file
  }

  /** Takes the file's values, with variables replaced. A text that comes from a variable becomes what the schema wants there. */
  addFile(environment: Readonly<Record<string, string | undefined>>): void {
    if (!this.#file) return
    const secrets: KeyPath[] = []
    const replaceText = (text: string, path: KeyPath): unknown => {
      const shape = findShape(this.#shape, path)
      if (isPlainSecret(text, shape)) secrets.push(path)
      const result = substitute(text, environment)
      for (const message of result.problems) this.#report({ path, message })
      return result.isFromEnvironment && shape ? convertText(result.text, shape) : result.text
    }
    this.#tree = mapTable(this.#file.tree, (value, key) => mapTexts(value, replaceText, [key]))
    this.#checkMode(this.#file, secrets)
  }

  /** Sets one key over what was there. A table that is none in the file stays as it is, for `finish` to name. */
  set(path: readonly string[], value: unknown, origin: string): void {
    if (setAt(this.#tree, path, value)) this.#origins.set(formatKeyPath(path), origin)
  }

  addProblem(problem: ConfigurationProblem): void {
    this.#problems.push(problem)
  }

  /** The whole with defaults; throws every problem at once. */
  finish(): unknown {
    const filled = fillDefaults(this.#shape, this.#tree, (path) => this.#origins.set(formatKeyPath(path), 'default'))
    this.refuse(findProblems(this.#shape, filled))
    return filled
  }

  /** Adds findings, and throws `CONFIG_INVALID` if there is anything wrong by now. */
  refuse(findings: readonly Finding[]): void {
    for (const finding of findings) this.#report(finding)
    const [first, ...others] = this.#problems
    if (!first) return
    const lines = this.#problems.map(({ origin, key, message }) => `${origin}: ${key} ${message}`)
    const message = others.length === 0 ? lines.join('') : `${lines.length} problems in the configuration\n${lines.join('\n')}`
    throw new AppError('CONFIG_INVALID', message, { details: { problems: [...this.#problems] } })
  }

  /** Where each single value of the finished configuration comes from. */
  origins(value: unknown): Record<string, string> {
    return Object.fromEntries(leafPaths(value).map((path) => [formatKeyPath(path), this.#originOf(path)]))
  }

  #report({ path, message }: Finding): void {
    this.#problems.push({ origin: this.#originOf(path), key: formatKeyPath(path), message })
  }

  #originOf(path: KeyPath): string {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(formatKeyPath(path.slice(0, length)))
      if (origin !== undefined) return origin
    }
    return this.#file ? `${this.#file.name}:${this.#file.lineOf(path)}` : 'configuration'
  }

  /** Passwords are for the owner of the file alone; where there are no permission bits there is nothing to check. */
  #checkMode({ name, mode }: ConfigurationFile, secrets: readonly KeyPath[]): void {
    const [first] = secrets
    if (!first || (mode & 0o077) === 0 || process.platform === 'win32') return
    const remedy = `run "chmod 600 ${name}", or write \${VARIABLE} in place of the secret`
    this.#report({
      path: first,
      message: `holds a secret and others may read the file (mode ${mode.toString(8).padStart(3, '0')}); ${remedy}`,
    })
  }
}
