import { open, type FileHandle } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import { AppError } from '../errors.ts'
import { scanKeyLines } from './key-lines.ts'
import { formatKeyPath, type KeyPath } from './key-path.ts'
import type { Table } from './tree.ts'

const maxBytes = 4 * 1024 * 1024

/** A TOML file as read, before substitution. */
export class ConfigurationFile {
  /** As the user named it. */
  readonly name: string
  readonly tree: Table
  /** Permission bits, as in `chmod`. */
  readonly mode: number
  readonly #lines: ReadonlyMap<string, number>

  constructor({ name, text, mode }: { name: string; text: string; mode: number }) {
    this.name = name
    this.mode = mode
    this.tree = parseToml(name, text)
    this.#lines = scanKeyLines(text)
  }

  /** The line of a path, or of the innermost table around it that the file names; 1 when it names none. */
  lineOf(path: KeyPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(formatKeyPath(path.slice(0, length)))
      if (line !== undefined) return line
    }
    return 1
  }
}

/** Reads and parses a file; `CONFIG_NOT_FOUND` when it cannot be read, `CONFIG_INVALID` with line and column when it is no TOML. */
export async function loadConfigurationFile(name: string): Promise<ConfigurationFile> {
  await using handle = await openFile(name)
  const { mode, size } = await handle.stat()
  if (size > maxBytes)
    throw new AppError('CONFIG_INVALID', `${name} has ${size} bytes; a configuration file may have ${maxBytes}`)
  return new ConfigurationFile({ name, text: await readText(handle, name), mode: mode & 0o777 })
}

async function openFile(name: string): Promise<FileHandle> {
  try {
    return await open(name)
  } catch (cause) {
    throw unreadable(name, cause)
  }
}

async function readText(handle: FileHandle, name: string): Promise<string> {
  try {
    return await handle.readFile('utf8')
  } catch (cause) {
    throw unreadable(name, cause)
  }
}

function unreadable(name: string, cause: unknown): AppError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const reasons: Record<string, string> = {
    ENOENT: 'does not exist; name an existing file, or leave it out to run on defaults',
    EACCES: 'may not be read by this user; change its owner or mode',
    EISDIR: 'is a directory; name a file in it',
  }
  return new AppError('CONFIG_NOT_FOUND', `the configuration file ${name} ${reasons[code] ?? `cannot be read: ${code}`}`, {
    cause,
  })
}

function parseToml(name: string, text: string): Table {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw' })
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    // The rest of the message is the text around, which may hold a secret.
    const [reason = ''] = cause.message.replace('Invalid TOML document: ', '').split('\n')
    throw new AppError('CONFIG_INVALID', `${name}:${cause.line}:${cause.column}: not TOML: ${reason}`, {
      cause,
      details: { file: name, line: cause.line, column: cause.column },
    })
  }
}
