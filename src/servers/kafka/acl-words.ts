import type { AclRow } from '#eventlog/metadata/log-metadata.ts'
import { AppError } from '#lib/errors.ts'
import { clusterName, operations } from './authorizer.ts'

/** Numbers of the ACL protocol and the words that are stored for them. https://kafka.apache.org/protocol.html#The_Messages_CreateAcls */
const any = 1
const match = 2
const resourceTypes = new Map<number, AclRow['resourceType']>([
  [2, 'topic'],
  [3, 'group'],
  [4, 'cluster'],
])
const patternTypes = new Map<number, AclRow['patternType']>([
  [3, 'literal'],
  [4, 'prefixed'],
])
const permissions = new Map<number, AclRow['permission']>([
  [2, 'deny'],
  [3, 'allow'],
])
const firstOperation = 2

/** One rule on the wire. */
export type AclEntry = {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** Which rules are meant; null and 1 are all. */
export type AclFilter = {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

/** A rule as it is stored. Throws `REQUEST_INVALID` for what cannot be ruled. */
export function parseAcl(entry: AclEntry): AclRow {
  const { resourceName, principal, host } = entry
  const resourceType = resourceTypes.get(entry.resourceType)
  const patternType = patternTypes.get(entry.patternType)
  const permission = permissions.get(entry.permissionType)
  const operation = operations[entry.operation - firstOperation]
  if (!resourceType)
    throw invalid(
      `there are no rules about resources of type ${entry.resourceType}; use topics (2), groups (3) or the cluster (4)`,
    )
  if (!patternType) throw invalid(`a rule cannot have the pattern type ${entry.patternType}; use literal (3) or prefixed (4)`)
  if (!permission) throw invalid(`a rule cannot have the permission ${entry.permissionType}; use deny (2) or allow (3)`)
  if (!operation) throw invalid(`there is no operation ${entry.operation}`)
  if (resourceName === '') throw invalid('a rule needs the name of its resource')
  if (resourceType === 'cluster' && resourceName !== clusterName) throw invalid(`the cluster is called ${clusterName}`)
  if (!/^User:./.test(principal)) throw invalid(`"${principal.slice(0, 100)}" is not a user; write User:name, or User:* for all`)
  if (host === '') throw invalid('a rule needs a host; write * for all')
  return { resourceType, resourceName, patternType, principal, host, operation, permission }
}

/** A stored rule as it goes over the wire. */
export function writeAcl(row: AclRow): AclEntry {
  return {
    resourceType: numberOf(resourceTypes, row.resourceType),
    resourceName: row.resourceName,
    patternType: numberOf(patternTypes, row.patternType),
    principal: row.principal,
    host: row.host,
    operation: operations.findIndex((known) => known === row.operation) + firstOperation,
    permissionType: numberOf(permissions, row.permission),
  }
}

/** Whether the rule is one of those that are meant. */
export function isMatch(filter: AclFilter, row: AclRow): boolean {
  const entry = writeAcl(row)
  const isSame = (wanted: number, value: number): boolean => wanted === any || wanted === value
  const isSameText = (wanted: string | null, value: string): boolean => wanted === null || wanted === value
  return (
    isSame(filter.resourceTypeFilter, entry.resourceType) &&
    isSame(filter.operation, entry.operation) &&
    isSame(filter.permissionType, entry.permissionType) &&
    isSameText(filter.principalFilter, row.principal) &&
    isSameText(filter.hostFilter, row.host) &&
    isNamed(filter, row)
  )
}

/** The pattern type `match` means all rules that hold for the name, not those that have it. */
function isNamed({ patternTypeFilter: wanted, resourceNameFilter: name }: AclFilter, row: AclRow): boolean {
  const isType = wanted === any || wanted === match || patternTypes.get(wanted) === row.patternType
  if (!isType) return false
  if (name === null || row.resourceName === name) return true
  if (wanted !== match) return false
  return row.patternType === 'prefixed' ? name.startsWith(row.resourceName) : row.resourceName === '*'
}

function numberOf<T>(words: ReadonlyMap<number, T>, word: T): number {
  for (const [number, known] of words) if (known === word) return number
  return 0
}

function invalid(message: string): AppError {
  return new AppError('REQUEST_INVALID', message)
}
