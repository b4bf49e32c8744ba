import { sql } from 'kysely'
import type { Session } from './sql-session.ts'

/**
 * Start-time fair queueing between tenants (Goyal, Vin, Cheng 1996): each task gets the tag at which its tenant's share of the rank has got to, and the
 * smallest tag is served first. A tenant that comes late begins at the tag in service: it neither waits for those before it nor makes up for its absence.
 * Gives a tag for each cost, in order.
 */
export async function takeFairKeys(
  { db, dialect }: Session,
  { tenant, rank, costs }: { tenant: string; rank: number; costs: readonly number[] },
): Promise<number[]> {
  const total = costs.reduce((sum, cost) => sum + cost, 0)
  const inService = await fairKeyInService({ db, dialect }, rank)
  const { rows } = await sql<{ finish: number }>`
    insert into fair_shares (tenant, rank, finish)
    values (${tenant}, ${rank}, cast(${inService} as bigint) + cast(${total} as bigint))
    on conflict (tenant, rank) do update set finish = cast(${total} as bigint) +
      case when fair_shares.finish > cast(${inService} as bigint) then fair_shares.finish else cast(${inService} as bigint) end
    returning finish
  `.execute(db)
  let key = (rows[0]?.finish ?? total) - total
  return costs.map((cost) => {
    const start = key
    key += cost
    return start
  })
}

/** The largest tag that is with a worker; without one the smallest that waits; and when nothing waits, where the tenants have got to. */
export async function fairKeyInService({ db }: Session, rank: number): Promise<number> {
  const { rows } = await sql<{ key: number }>`
    select coalesce(
      (select fair_key from tasks where state = 'leased' and rank = ${rank} order by fair_key desc limit 1),
      (select min(first_key) from (
        select (
          select fair_key from tasks
          where class_id = task_classes.id and state = 'ready' and is_due = 1 and rank = ${rank} order by fair_key limit 1
        ) as first_key from task_classes
      ) as firsts),
      (select max(finish) from fair_shares where rank = ${rank}),
      0
    ) as key
  `.execute(db)
  return rows[0]?.key ?? 0
}
