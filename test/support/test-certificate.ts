import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from './temp-directory.ts'

/** For `localhost` and 127.0.0.1, signed by itself, until the year 2120. It protects nothing. */
export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIWF9h6jLbW3ejtV
enhiSfMCZXA1iwM1kfNhPePnNEiA/EMGrUCXcs3DxiH2qsDy6q4/GG1+KPpDWa22
+GaTa7GjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBSaHyh97VTmQIsB12rScXirjDNslDAKBggqhkjOPQQD
AgNJADBGAiEAjdhddrflpEVURNc0mOUThjl6bfmnHquKTrJbzk2TXy8CIQCVtHVG
6k50OFuGL9c3siAFDufKg9Uri6Gs8crgNWG0aQ==
-----END CERTIFICATE-----
`

const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgiLNwUQLpQY+X1iGT
qzGvl7srCkYB1Ga1Ubcn1Oz6gcGhRANCAASFhfYeoy21t3o7VXp4YknzAmVwNYsD
NZHzYT3j5zRIgPxDBq1Al3LNw8Yh9qrA8uquPxhtfij6Q1mttvhmk2ux
-----END PRIVATE KEY-----
`

/** Another one, with a key of its own. */
export const otherCertificate = `-----BEGIN CERTIFICATE-----
MIIBXzCCAQWgAwIBAgIBAjAKBggqhkjOPQQDAjAQMQ4wDAYDVQQDDAVvdGhlcjAg
Fw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowEDEOMAwGA1UEAwwFb3Ro
ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATbZMdzI+S7Rx/q1TeGhuBh53Tg
nkSs3bJCcapam1ognFGoykE+3EKPPC4E0udpGKhB+AO+AHnFWnYao2ntv8zOo04w
TDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAd
BgNVHQ4EFgQUl58wHFIXZAhHayJu+rILRHpES9IwCgYIKoZIzj0EAwIDSAAwRQIh
AOCs9IgSFZTSw7eHyKJOZnRMi7BQ9tMTEbyVI8rO8B6+AiBKAmY9zQETz5N7+u3t
Qnz34OSHom4w/QDSGW56xlBdjg==
-----END CERTIFICATE-----
`

export const otherKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQEGmRQcbs5GSbjaK
DcK9BRhBQAFaUvOIuR+YTRKj5RKhRANCAATbZMdzI+S7Rx/q1TeGhuBh53TgnkSs
3bJCcapam1ognFGoykE+3EKPPC4E0udpGKhB+AO+AHnFWnYao2ntv8zO
-----END PRIVATE KEY-----
`

/** The certificate and its key as files, removed when disposed of. */
export async function writeTestCertificate(): Promise<
  { readonly certificateFile: string; readonly keyFile: string } & AsyncDisposable
> {
  const directory = await temporaryDirectory()
  const certificateFile = join(directory.path, 'certificate.pem')
  const keyFile = join(directory.path, 'key.pem')
  await writeFile(certificateFile, testCertificate)
  await writeFile(keyFile, testKey)
  return { certificateFile, keyFile, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
}
