import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../../test/support/fuzz.ts'
import {
  chooseChallenge,
  isPasswordShown,
  parseAuthorization,
  parseChallenge,
  writeAuthorization,
  writeChallenges,
  type Challenge,
} from './authentication.ts'

const digest = {
  scheme: 'digest',
  realm: 'cam',
  nonce: 'abc',
  algorithm: 'MD5',
  hasQop: false,
  opaque: undefined,
  isStale: false,
} as const

const challenges: [header: string, challenge: Challenge | undefined][] = [
  ['Basic realm="cam"', { scheme: 'basic', realm: 'cam' }],
  ['Digest realm="cam", nonce="abc"', digest],
  ['Digest realm="cam", nonce="abc", stale="FALSE", algorithm=MD5, domain="::"', digest],
  ['digest  realm="a \\"b\\"",nonce=abc , stale=TRUE,opaque="o"', { ...digest, realm: 'a "b"', isStale: true, opaque: 'o' }],
  ['Digest realm="cam",nonce="abc",qop="auth,auth-int",algorithm="SHA-256"', { ...digest, algorithm: 'SHA-256', hasQop: true }],
  ['Digest realm="cam",nonce="abc",qop="auth-int"', undefined],
  ['Digest realm="cam",nonce="abc",algorithm=SHA-512-256', undefined],
  ['Digest realm="cam"', undefined],
  ['Negotiate', undefined],
  ['', undefined],
]

for (const [header, challenge] of challenges) {
  test(`challenge "${header}"`, () => {
    assert.deepEqual(parseChallenge(header), challenge)
  })
}

test('the first digest is answered, before any Basic', () => {
  const chosen = chooseChallenge(['Basic realm="cam"', 'Digest realm="cam", nonce="abc"', 'Digest realm="cam", nonce="other"'])
  assert.deepEqual(chosen, digest)
  assert.equal(chooseChallenge(['Bearer x', 'Basic realm="cam"'])?.scheme, 'basic')
  assert.equal(chooseChallenge([]), undefined)
})

test('what a server asks for is digest with MD5, then Basic, a line each', () => {
  const headers = writeChallenges({ realm: 'm', nonce: 'n', isStale: true })
  assert.deepEqual(
    headers.map((header) => parseChallenge(header)?.scheme),
    ['digest', 'basic'],
  )
  assert.deepEqual(parseChallenge(headers[0] ?? ''), { ...digest, realm: 'm', nonce: 'n', isStale: true })
})

// RFC 7616 §3.9.1, and RFC 2617 §3.5.
const examples: [algorithm: 'MD5' | 'SHA-256', response: string][] = [
  ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
  ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
]
for (const [algorithm, response] of examples) {
  test(`the ${algorithm} example of RFC 7616 §3.9.1`, () => {
    const challenge: Challenge = {
      scheme: 'digest',
      realm: 'http-auth@example.org',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      algorithm,
      hasQop: true,
      opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
      isStale: false,
    }
    const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'
    const login = { username: 'Mufasa', password: 'Circle of Life' }
    const header = writeAuthorization(challenge, login, { method: 'GET', uri: '/dir/index.html', cnonce, count: 1 })
    assert.match(header, new RegExp(`response="${response}"`))
    assert.match(header, /nc=00000001/)
    const credentials = parseAuthorization(header)
    assert.ok(credentials)
    assert.ok(isPasswordShown(credentials, { password: 'Circle of Life', method: 'GET' }))
    assert.ok(!isPasswordShown(credentials, { password: 'Circle of life', method: 'GET' }))
    assert.ok(!isPasswordShown(credentials, { password: 'Circle of Life', method: 'PUT' }))
  })
}

const logins = [
  { username: 'admin', password: 'pass:word' },
  { username: 'a "b" \\', password: '' },
  { username: 'ü', password: 'ß' },
]
for (const login of logins) {
  for (const challenge of [{ scheme: 'basic', realm: 'r' } as const, digest, { ...digest, hasQop: true, opaque: 'o' }]) {
    test(`${challenge.scheme} of "${login.username}" is believed with the right password only`, () => {
      const header = writeAuthorization(challenge, login, { method: 'PLAY', uri: 'rtsp://h/s', cnonce: 'c', count: 1 })
      const credentials = parseAuthorization(header)
      assert.equal(credentials?.username, login.username)
      assert.ok(isPasswordShown(credentials, { password: login.password, method: 'PLAY' }))
      assert.ok(!isPasswordShown(credentials, { password: `${login.password}x`, method: 'PLAY' }))
    })
  }
}

for (const header of ['', 'Basic', 'Basic ===', 'Digest username="a"', 'Bearer abc', 'Basic bm9jb2xvbg==']) {
  test(`credentials "${header}" cannot be read`, () => {
    assert.equal(parseAuthorization(header), undefined)
  })
}

const hikvision =
  'Digest username="admin", realm="m", nonce="n", uri="rtsp://h/s", response="ABCDEF", vendor=hik, algorithm="MD5", x="\\"'
test('unknown fields are left out', () => {
  const credentials = parseAuthorization(hikvision)
  assert.equal(credentials?.scheme === 'digest' && credentials.response, 'abcdef')
})

fuzzText(
  'WWW-Authenticate',
  challenges.map(([header]) => header),
  parseChallenge,
)
fuzzText('Authorization', [hikvision, 'Basic YWRtaW46c2VjcmV0'], (text) => {
  const credentials = parseAuthorization(text)
  return credentials && isPasswordShown(credentials, { password: 'x', method: 'PLAY' })
})
