import assert from 'node:assert/strict'
import { createHmac, pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { challenge, credentialOf, deriveCredential, parseClientFirst, verifyFinal, type ScramMechanism } from './scram.ts'

/** RFC 7677 §3. */
const exchange = {
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}
const mechanism: ScramMechanism = 'SCRAM-SHA-256'
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const credential = await deriveCredential(mechanism, { password: 'pencil', salt, iterations: 4096 })

test('the exchange of RFC 7677 §3', () => {
  const first = parseClientFirst(exchange.clientFirst)
  assert.equal(first.user, 'user')
  const given = challenge(first, credential, exchange.serverNonce)
  assert.equal(given.text, exchange.serverFirst)
  assert.equal(verifyFinal(mechanism, given, exchange.clientFinal), exchange.serverFinal)
})

test('a client that puts its nonce in front once more is taken', () => {
  const given = challenge(parseClientFirst(exchange.clientFirst), credential, exchange.serverNonce)
  const withoutProof = exchange.clientFinal.replace(/,p=.*/, '').replace('r=', 'r=rOprNGfwEbeRWgbNEkqO')
  const saltedPassword = pbkdf2Sync('pencil', salt, 4096, 32, 'sha256')
  const clientKey = createHmac('sha256', saltedPassword).update('Client Key').digest()
  const signature = createHmac('sha256', credential.storedKey).update(`${given.signed},${withoutProof}`).digest()
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))).toString('base64')
  assert.match(verifyFinal(mechanism, given, `${withoutProof},p=${proof}`) ?? '', /^v=/)
})

const wrong: [name: string, text: string][] = [
  ['another proof', exchange.clientFinal.replace('p=dHzb', 'p=dHzc')],
  ['a proof that is too short', exchange.clientFinal.replace(/p=.*/, 'p=dHzb')],
  ['another nonce', exchange.clientFinal.replace('r=rOpr', 'r=xOpr')],
  ['another binding', exchange.clientFinal.replace('c=biws', 'c=eSws')],
]
for (const [name, text] of wrong) {
  test(`${name} proves nothing`, () => {
    const given = challenge(parseClientFirst(exchange.clientFirst), credential, exchange.serverNonce)
    assert.equal(verifyFinal(mechanism, given, text), undefined)
  })
}

const names: [first: string, user: string][] = [
  ['n,,n=a=2Cb=3Dc,r=x', 'a,b=c'],
  ['y,,n=user,r=x,extra=1', 'user'],
  ['n,a=other,n=user,r=x', 'user'],
]
for (const [text, user] of names) {
  test(`"${text}" comes from "${user}"`, () => assert.equal(parseClientFirst(text).user, user))
}

const refused: [text: string, code: string][] = [
  ['', 'MALFORMED'],
  ['n,,r=x', 'MALFORMED'],
  ['n,,n=user', 'MALFORMED'],
  ['n,,n=,r=x', 'MALFORMED'],
  ['n,,n=a=20,r=x', 'MALFORMED'],
  ['n,,m=x,n=user,r=x', 'MALFORMED'],
  ['p=tls-unique,,n=user,r=x', 'UNSUPPORTED'],
]
for (const [text, code] of refused) {
  test(`"${text}" is refused`, () => assert.throws(() => parseClientFirst(text), { code }))
}

test('a password that came salted gives the same credential', () => {
  const saltedPassword = pbkdf2Sync('pencil', salt, 4096, 32, 'sha256')
  assert.deepEqual(credentialOf(mechanism, { saltedPassword, salt, iterations: 4096 }), credential)
})

fuzzText('the first message of SCRAM', [exchange.clientFirst, ...names.map(([text]) => text)], parseClientFirst)
fuzzText('the second message of SCRAM', [exchange.clientFinal], (text) =>
  verifyFinal(mechanism, challenge(parseClientFirst(exchange.clientFirst), credential), text),
)
