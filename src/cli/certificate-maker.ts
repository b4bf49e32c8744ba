import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  cryptoProvider,
  type Extension,
} from '@peculiar/x509'
import { AppError } from '#lib/errors.ts'

/** A certificate with its private key, both PEM. */
export type MadeCertificate = { readonly certificate: string; readonly key: string }

export type LeafOptions = {
  readonly authority: MadeCertificate
  readonly commonName: string
  /** `server`: valid for `names`; `client`: its common name is a user. */
  readonly usage: 'server' | 'client'
  /** DNS names and IP addresses. */
  readonly names?: readonly string[]
  readonly days: number
  readonly nowMs: number
}

/** ECDSA with P-256 and SHA-256: what every TLS library has. */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const authorityYears = 10
const dayMs = 86_400_000
/** Clocks of other machines may be behind. */
const leewayMs = 5 * 60_000

cryptoProvider.set(webcrypto)

/** An authority that signs certificates, and no further authorities (RFC 5280 §4.2.1.9). */
export async function makeAuthority({ commonName, nowMs }: { commonName: string; nowMs: number }): Promise<MadeCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: nameOf(commonName),
    issuer: nameOf(commonName),
    notBefore: new Date(nowMs - leewayMs),
    notAfter: new Date(nowMs + authorityYears * 365 * dayMs),
    signingAlgorithm: algorithm,
    signingKey: keys.privateKey,
    publicKey: keys.publicKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) }
}

/** A certificate that the authority signs; it does not outlive it. Throws `USAGE` for an authority that is none, or is over. */
export async function makeLeaf({ authority, commonName, usage, names = [], days, nowMs }: LeafOptions): Promise<MadeCertificate> {
  const issuer = readAuthority(authority.certificate)
  if (issuer.notAfter.getTime() <= nowMs) throw new AppError('USAGE', 'the authority is over; make another one')
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: nameOf(commonName),
    issuer: issuer.subjectName,
    notBefore: new Date(Math.max(nowMs - leewayMs, issuer.notBefore.getTime())),
    notAfter: new Date(Math.min(nowMs - leewayMs + days * dayMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    signingKey: await importKey(authority.key, issuer),
    publicKey: keys.publicKey,
    extensions: [...extensionsOf(usage, names), ...(await identifiers(issuer, keys.publicKey))],
  })
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) }
}

function extensionsOf(usage: LeafOptions['usage'], names: readonly string[]): Extension[] {
  const purpose = usage === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth
  const alternatives = names.map((value) => ({ type: isIP(value) > 0 ? ('ip' as const) : ('dns' as const), value }))
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([purpose]),
    ...(alternatives.length > 0 ? [new SubjectAlternativeNameExtension(alternatives)] : []),
  ]
}

async function identifiers(issuer: X509Certificate, publicKey: webcrypto.CryptoKey): Promise<Extension[]> {
  return [
    await SubjectKeyIdentifierExtension.create(publicKey),
    await AuthorityKeyIdentifierExtension.create(issuer.publicKey, false),
  ]
}

function readAuthority(pem: string): X509Certificate {
  try {
    const certificate = new X509Certificate(pem)
    if (certificate.getExtension(BasicConstraintsExtension)?.ca === true) return certificate
  } catch (cause) {
    throw new AppError('USAGE', 'the certificate of the authority cannot be read; it is to be PEM', { cause })
  }
  throw new AppError('USAGE', 'the certificate of the authority may not sign others; make one with "millrace certs authority"')
}

async function importKey(pem: string, issuer: X509Certificate): Promise<webcrypto.CryptoKey> {
  try {
    const [der = new ArrayBuffer()] = PemConverter.decode(pem)
    const key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])
    const probe = Buffer.from('millrace')
    const signature = await webcrypto.subtle.sign(algorithm, key, probe)
    if (await webcrypto.subtle.verify(algorithm, await issuer.publicKey.export(webcrypto), signature, probe)) return key
  } catch (cause) {
    throw new AppError('USAGE', 'the key of the authority cannot be used; it is to be PKCS #8 of ECDSA P-256, PEM', { cause })
  }
  throw new AppError('USAGE', 'the key of the authority does not belong to its certificate')
}

/** As it stands, whatever characters it has. */
function nameOf(commonName: string): Name {
  return new Name([{ CN: [{ utf8String: commonName }] }])
}

/** Positive, and of 16 random bytes (RFC 5280 §4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY').trim()}\n`
}
