/**
 * The certificate that a client showed when it connected. `trusted`: the authority of the configuration signed it, for clients; it was in time then. `refused`:
 * anything else, with the reason in words.
 */
export type ClientCertificate =
  | { readonly kind: 'trusted'; readonly commonName: string; readonly expiresAtMs: number }
  | { readonly kind: 'refused'; readonly reason: string }
