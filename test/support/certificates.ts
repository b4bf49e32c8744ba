/** An own authority for tests, and what it signs, as `millrace certs` makes them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAuthority, makeLeaf, type MadeCertificate } from '#cli/certificate-maker.ts'
import { temporaryDirectory } from './temp-directory.ts'

/** A certificate and its key as files, and what is in them. */
type TestCertificate = MadeCertificate & { readonly certificateFile: string; readonly keyFile: string }

export class TestAuthority implements AsyncDisposable {
  readonly directory: string
  readonly authorityFile: string
  readonly #made: MadeCertificate
  readonly #temporary: AsyncDisposable

  private constructor(made: MadeCertificate, temporary: AsyncDisposable & { readonly path: string }) {
    this.directory = temporary.path
    this.authorityFile = join(temporary.path, 'authority.pem')
    this.#made = made
    this.#temporary = temporary
  }

  static async make(): Promise<TestAuthority> {
    const made = await makeAuthority({ commonName: 'Test authority', nowMs: Date.now() })
    const authority = new TestAuthority(made, await temporaryDirectory())
    await writeFile(authority.authorityFile, made.certificate)
    return authority
  }

  /** Its own certificate, PEM. */
  get certificate(): string {
    return this.#made.certificate
  }

  /** For a server on loopback. */
  server(name = 'localhost'): Promise<TestCertificate> {
    return this.#sign(name, { usage: 'server', names: [name, '127.0.0.1', '::1'], nowMs: Date.now() })
  }

  /** Of a user, valid for a day from `nowMs`. */
  client(user: string, { nowMs = Date.now() } = {}): Promise<TestCertificate> {
    return this.#sign(user, { usage: 'client', nowMs })
  }

  async #sign(
    name: string,
    options: { usage: 'server' | 'client'; names?: readonly string[]; nowMs: number },
  ): Promise<TestCertificate> {
    const made = await makeLeaf({ authority: this.#made, commonName: name, days: 1, ...options })
    const [certificateFile, keyFile] = [join(this.directory, `${name}.pem`), join(this.directory, `${name}-key.pem`)]
    await writeFile(certificateFile, made.certificate)
    await writeFile(keyFile, made.key)
    return { ...made, certificateFile, keyFile }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temporary[Symbol.asyncDispose]()
  }
}
