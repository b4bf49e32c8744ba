import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import type { AclRow } from '#eventlog/metadata/log-metadata.ts'
import { isMatch, parseAcl, writeAcl, type AclFilter } from '../acl-words.ts'
import { clusterName, type Operation } from '../authorizer.ts'
import type { Call, Fault } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

const done = { errorCode: kafkaErrors.NONE, errorMessage: null }

/** Rules have an effect only where there are users; and they are the business of whoever may do this to the cluster. */
function refusalOf(call: Call, operation: Operation): Fault | undefined {
  if (!call.context.authorizer.isActive) {
    return call.refusal('SECURITY_DISABLED', 'there are no users, so that everybody may do everything; declare [[users]] first')
  }
  if (call.isAllowed(operation, 'cluster', clusterName)) return undefined
  return call.refusal('CLUSTER_AUTHORIZATION_FAILED', `you may not ${operation} the cluster`)
}

/** Shows access rules. */
export const describeAcls: Handler<'describeAcls'> = (filter, call) => {
  const refusal = refusalOf(call, 'describe')
  if (refusal) return { throttleTimeMs: 0, ...refusal, resources: [] }
  const byResource = new Map<string, AclRow[]>()
  for (const row of call.context.authorizer.rules.filter((rule) => isMatch(filter, rule))) {
    const key = JSON.stringify([row.resourceType, row.patternType, row.resourceName])
    const same = byResource.get(key)
    if (same) same.push(row)
    else byResource.set(key, [row])
  }
  const resources = [...byResource.values()].flatMap((rows) => {
    const acls = rows.map(writeAcl)
    const [first] = acls
    if (!first) return []
    const { resourceType, resourceName, patternType } = first
    return [{ resourceType, resourceName, patternType, acls }]
  })
  return { throttleTimeMs: 0, ...done, resources }
}

type Creation = RequestOf<'createAcls'>['creations'][number]
type Created = ResponseInputOf<'createAcls'>['results'][number]
type Checked = { readonly row: AclRow } | { readonly fault: Fault }

/** Adds access rules; those that cannot be do not keep the others out. */
export const createAcls: Handler<'createAcls'> = async ({ creations }, call) => {
  const refusal = refusalOf(call, 'alter')
  if (refusal) return { throttleTimeMs: 0, results: creations.map(() => refusal) }
  const checked = creations.map((creation) => check(call, creation))
  const added = await add(
    call,
    checked.flatMap((one) => ('row' in one ? [one.row] : [])),
  )
  return { throttleTimeMs: 0, results: checked.map((one) => ('fault' in one ? one.fault : added)) }
}

function check(call: Call, creation: Creation): Checked {
  try {
    return { row: parseAcl({ ...creation, patternType: creation.resourcePatternType }) }
  } catch (thrown) {
    return { fault: call.fault(thrown) }
  }
}

async function add(call: Call, rows: readonly AclRow[]): Promise<Created> {
  try {
    await call.context.authorizer.add(rows)
    if (rows.length > 0)
      call.context.log.info({ user: call.client.principal.user, rules: rows.length }, 'kafka access rules added')
    return done
  } catch (thrown) {
    return call.fault(thrown)
  }
}

type Deleted = ResponseInputOf<'deleteAcls'>['filterResults'][number]

/** Removes access rules, and says which those were. */
export const deleteAcls: Handler<'deleteAcls'> = async ({ filters }, call) => {
  const refusal = refusalOf(call, 'alter')
  const filterResults: Deleted[] = []
  for (const filter of filters) filterResults.push(refusal ? { ...refusal, matchingAcls: [] } : await remove(call, filter))
  return { throttleTimeMs: 0, filterResults }
}

async function remove(call: Call, filter: AclFilter): Promise<Deleted> {
  const { authorizer, log } = call.context
  const rows = authorizer.rules.filter((rule) => isMatch(filter, rule))
  try {
    await authorizer.remove(rows)
    if (rows.length > 0) log.info({ user: call.client.principal.user, rules: rows.length }, 'kafka access rules removed')
    return { ...done, matchingAcls: rows.map((row) => ({ ...done, ...writeAcl(row) })) }
  } catch (thrown) {
    return { ...call.fault(thrown), matchingAcls: [] }
  }
}
