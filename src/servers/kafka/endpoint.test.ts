import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advertise, advertisedWarnings } from './endpoint.ts'

const plain = { isTls: false, port: 9092 }
const tls = { isTls: true, port: 9093 }

const told: [settings: Parameters<typeof advertise>[0], listener: typeof plain, local: string | undefined, expected: string][] = [
  [{ host: '127.0.0.1' }, plain, '127.0.0.1', '127.0.0.1:9092'],
  [{ host: 'localhost' }, plain, '::1', 'localhost:9092'],
  [{ host: '192.0.2.1' }, tls, '192.0.2.1', '192.0.2.1:9093'],
  [{ host: '0.0.0.0' }, plain, '192.0.2.7', '192.0.2.7:9092'],
  [{ host: '::' }, plain, '::ffff:192.0.2.7', '192.0.2.7:9092'],
  [{ host: '::' }, plain, '2001:db8::1', '2001:db8::1:9092'],
  [{ host: '0.0.0.0', advertisedHost: 'log.example.org' }, plain, '192.0.2.7', 'log.example.org:9092'],
  [{ host: '0.0.0.0', advertisedHost: 'log', advertisedPort: 19_092 }, plain, '192.0.2.7', 'log:19092'],
  [{ host: '0.0.0.0', advertisedHost: 'log', advertisedPort: 19_092 }, tls, '192.0.2.7', 'log:9093'],
  [{ host: '0.0.0.0', advertisedHost: 'log', advertisedTlsPort: 19_093 }, tls, '192.0.2.7', 'log:19093'],
]
for (const [settings, listener, local, expected] of told) {
  test(`${JSON.stringify(settings)}: who came to ${local}, port ${listener.port}, is told ${expected}`, () => {
    const { host, port } = advertise(settings, listener, local)
    assert.equal(`${host}:${port}`, expected)
  })
}

const warned: [settings: Parameters<typeof advertisedWarnings>[0], expected: RegExp | undefined][] = [
  [{ host: '127.0.0.1' }, undefined],
  [{ host: '192.0.2.1' }, undefined],
  [{ host: '0.0.0.0', advertisedHost: 'log.example.org' }, undefined],
  [{ host: '127.0.0.1', advertisedHost: 'localhost' }, undefined],
  [{ host: '0.0.0.0' }, /clients are told the address of this machine that they connected to/],
  [{ host: '0.0.0.0', advertisedHost: 'localhost' }, /told to connect to themselves/],
  [{ host: '192.0.2.1', advertisedHost: '127.0.0.1' }, /told to connect to themselves/],
  [{ host: '0.0.0.0', advertisedHost: '0.0.0.0' }, /nobody can connect to/],
]
for (const [settings, expected] of warned) {
  test(`${JSON.stringify(settings)} ${expected ? 'warns' : 'is fine'}`, () => {
    const [warning] = advertisedWarnings(settings)
    if (expected) assert.match(warning ?? '', expected)
    else assert.equal(warning, undefined)
  })
}
