import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:tls'
import { test } from 'node:test'
import { systemTimers } from '#lib/timers.ts'
import { SecureServer } from './certificate.ts'
import { silentLog } from './kafka.fixture.ts'
import { otherCertificate, otherKey, writeTestCertificate } from '../../../test/support/test-certificate.ts'

async function serialOf(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('a renewed certificate is taken on; one that cannot be used is not', async () => {
  await using files = await writeTestCertificate()
  using secure = await SecureServer.create(files, { timers: systemTimers, log: silentLog })
  const { server } = secure
  await using _closed = { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())) }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  assert.equal(await serialOf(port), '01')
  await writeFile(files.certificateFile, 'not a certificate')
  await secure.renew()
  assert.equal(await serialOf(port), '01')
  await writeFile(files.certificateFile, otherCertificate)
  await writeFile(files.keyFile, otherKey)
  await secure.renew()
  assert.equal(await serialOf(port), '02')
})

test('files that do not belong together are refused', async () => {
  await using files = await writeTestCertificate()
  await writeFile(files.keyFile, otherKey)
  await assert.rejects(() => SecureServer.create(files, { timers: systemTimers, log: silentLog }), { code: 'CONFIG_INVALID' })
  await copyFile(files.certificateFile, files.keyFile)
  await assert.rejects(() => SecureServer.create(files, { timers: systemTimers, log: silentLog }), { code: 'CONFIG_INVALID' })
})
