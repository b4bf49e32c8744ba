import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where programs are that are not always on the path. */
const knownPlaces = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/bin']
const lockFile = join(tmpdir(), 'millrace-test-apt.lock')
const installTimeoutMs = 5 * 60_000

/** The path of a program that a test needs; as root on Debian it is installed when missing, else the error says what to install. */
export async function ensureProgram({ command, debianPackage }: { command: string; debianPackage: string }): Promise<string> {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), ...knownPlaces].filter((place) => place !== '')
  const candidates = places.map((place) => join(place, command))
  return await ensure({ candidates, mode: constants.X_OK, what: command, debianPackage })
}

/** The same for what is no program, such as a library. */
export async function ensureFile({ path, debianPackage }: { path: string; debianPackage: string }): Promise<string> {
  return await ensure({ candidates: [path], mode: constants.R_OK, what: path, debianPackage })
}

type Wanted = { candidates: readonly string[]; mode: number; what: string; debianPackage: string }

async function ensure(wanted: Wanted): Promise<string> {
  const { what, debianPackage } = wanted
  const isRoot = process.getuid?.() === 0
  // While another test file installs, what is there may be half of it.
  const found = isRoot && (await isAccessible(lockFile, constants.F_OK)) ? undefined : await find(wanted)
  if (found !== undefined) return found
  if (!isRoot) throw new Error(`this test needs ${what}; install the Debian package ${debianPackage}`)
  await using _lock = await lockInstaller()
  if ((await find(wanted)) === undefined) await install(debianPackage)
  const installed = await find(wanted)
  if (installed === undefined) throw new Error(`this test needs ${what}, which Debian package ${debianPackage} did not bring`)
  return installed
}

async function find({ candidates, mode }: Wanted): Promise<string | undefined> {
  for (const candidate of candidates) {
    if (await isAccessible(candidate, mode)) return candidate
  }
  return undefined
}

async function isAccessible(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  )
}

async function install(debianPackage: string): Promise<void> {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: installTimeoutMs }
  const install = () =>
    run('apt-get', ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', debianPackage], options)
  try {
    // The lists of a new machine may be missing or old: then the first try fails.
    await install().catch(async () => {
      await run('apt-get', ['update'], options)
      await install()
    })
  } catch (error) {
    throw new Error(`this test needs the Debian package ${debianPackage}, and apt-get cannot install it`, { cause: error })
  }
}

/** Test files run as processes side by side; one at a time may install. A lock whose process is gone does not count. */
async function lockInstaller(): Promise<AsyncDisposable> {
  const deadline = performance.now() + 2 * installTimeoutMs
  for (;;) {
    try {
      await using file = await open(lockFile, 'wx')
      await file.writeFile(String(process.pid))
      return { [Symbol.asyncDispose]: () => rm(lockFile, { force: true }) }
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`waited too long for ${lockFile}`, { cause: error })
    }
    const owner = Number(await readFile(lockFile, 'utf8').catch(() => ''))
    if (owner > 0 && !isAlive(owner)) await rm(lockFile, { force: true })
    await delay(100)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
