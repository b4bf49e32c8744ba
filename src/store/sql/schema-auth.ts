/** Tables of who may do what. Times are milliseconds since the epoch by the clock of the node; flags are 0 or 1. */
export type AuthSchema = {
  api_keys: ApiKeysTable
}

/** Keys of the API. Of a secret only its hash is here: SHA-256, hexadecimal. */
export type ApiKeysTable = {
  id: string
  /** Unique among those that are not revoked. */
  name: string
  is_admin: number
  /** JSON: an array of patterns. */
  publish_patterns: string
  read_patterns: string
  secret_hash: string
  /** Of the secret before the last rotation, valid until `previous_until_ms`. */
  previous_hash: string | null
  previous_until_ms: number | null
  created_at_ms: number
  rotated_at_ms: number | null
  /** Null: never. */
  expires_at_ms: number | null
  /** To the minute. */
  last_used_at_ms: number | null
  /** The row stays for a while, so that whoever still has the key is told. */
  revoked_at_ms: number | null
}
