/** What Node says of a certificate that it does not take: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const causes: Readonly<Record<string, 'authority' | 'name' | 'time'>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'authority',
  UNABLE_TO_GET_ISSUER_CERT: 'authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'authority',
  CERT_SIGNATURE_FAILURE: 'authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'name',
  CERT_HAS_EXPIRED: 'time',
  CERT_NOT_YET_VALID: 'time',
}

/**
 * Why the certificate of a server was not taken, and what to do; undefined for an error of another kind. `setting` is where the user names the authority:
 * `worker.authority`.
 */
export function explainDistrust(error: unknown, setting: string): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const cause = causes[code]
  switch (cause) {
    case 'authority':
      return `its certificate is of no authority that is trusted here (${code}); set ${setting} to the certificate of the one that signed it`
    case 'name':
      return `its certificate is for another name or address (${code}); use one that is in the certificate, or make another with "millrace certs server"`
    case 'time':
      return `its certificate is not in time (${code}); renew it, or set the clocks of both machines`
    case undefined:
      return undefined
    default:
      return cause satisfies never
  }
}
