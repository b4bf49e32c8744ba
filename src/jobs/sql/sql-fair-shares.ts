import { sql, type RawBuilder } from 'kysely'
import type { Session } from './sql-session.ts'

type Share = { readonly tenant: string; readonly rank: number }

/**
 * Start-time fair queueing between tenants (Goyal, Vin, Cheng 1996): each task gets the tag at which its tenant's share of the rank has got to, and the
 * smallest tag is served first. A tenant that comes late begins at the tag in service: it neither waits for those before it nor makes up for its absence.
 * Gives a tag for each cost, in order.
 */
export async function takeFairKeys(
  { db }: Session,
  { costs, ...share }: Share & { readonly costs: readonly number[] },
): Promise<number[]> {
  const total = costs.reduce((sum, cost) => sum + cost, 0)
  const { rows } = await takeShare({ ...share, total, condition: sql`true` }).execute(db)
  let key = (rows[0]?.finish ?? total) - total
  return costs.map((cost) => {
    const start = key
    key += cost
    return start
  })
}

/** A statement that moves a share on by `total`, and gives where it ends then; none when the condition does not hold. */
export function takeShare({
  tenant,
  rank,
  total,
  condition,
}: Share & { readonly total: number; readonly condition: RawBuilder<unknown> }): RawBuilder<{ finish: number }> {
  const cost = sql`cast(${total} as bigint)`
  return sql`
    insert into fair_shares (tenant, rank, finish)
    select cast(${tenant} as text), cast(${rank} as integer), ${fairKeyInService(rank)} + ${cost} where ${condition}
    on conflict (tenant, rank) do update set
      finish = case when fair_shares.finish + ${cost} > excluded.finish then fair_shares.finish + ${cost} else excluded.finish end
    returning finish
  `
}

/** The largest tag that is with a worker; without one the smallest that waits; and when nothing waits, where the tenants have got to. */
export function fairKeyInService(rank: number): RawBuilder<number> {
  return sql`
    coalesce(
      (select fair_key from tasks where state = 'leased' and rank = ${rank} order by fair_key desc limit 1),
      (select min(first_key) from (
        select (
          select fair_key from tasks
          where class_id = task_classes.id and state = 'ready' and is_due = 1 and rank = ${rank} order by fair_key limit 1
        ) as first_key from task_classes
      ) as firsts),
      (select max(finish) from fair_shares where rank = ${rank}),
      0
    )
  `
}
