import type { Kysely } from 'kysely'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import type { Schema } from '#store/sql/schema.ts'
import { scenarioSchema, type Scenario } from '../scenario.ts'
import type { StoredScenarios } from './registry.ts'

/** Scenarios that were made by the API, in the table `scenarios`. */
export function sqlScenarioStore(db: Kysely<Schema>, { nowMs }: { readonly nowMs: () => number }): StoredScenarios {
  return {
    list: () => listScenarios(db),
    find: (name) => findScenario(db, name),
    add: (scenario) => addScenario(db, scenario, nowMs()),
    replace: (scenario) => replaceScenario(db, scenario, nowMs()),
    remove: (name) => removeScenario(db, name),
  }
}

async function listScenarios(db: Kysely<Schema>): Promise<Scenario[]> {
  const rows = await db.selectFrom('scenarios').select(['name', 'spec']).orderBy('name').execute()
  return rows.map(parseSpec)
}

async function findScenario(db: Kysely<Schema>, name: string): Promise<Scenario | undefined> {
  const row = await db.selectFrom('scenarios').select(['name', 'spec']).where('name', '=', name).executeTakeFirst()
  return row && parseSpec(row)
}

async function addScenario(db: Kysely<Schema>, scenario: Scenario, nowMs: number): Promise<void> {
  const { name } = scenario
  const added = await db
    .insertInto('scenarios')
    .values({ name, spec: JSON.stringify(scenario), created_at_ms: nowMs, updated_at_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .execute()
  if (added.length === 0)
    throw new AppError('SCENARIO_EXISTS', `a scenario "${name}" exists already; change it, or take another name`)
}

async function replaceScenario(db: Kysely<Schema>, scenario: Scenario, nowMs: number): Promise<boolean> {
  const replaced = await db
    .updateTable('scenarios')
    .set({ spec: JSON.stringify(scenario), updated_at_ms: nowMs })
    .where('name', '=', scenario.name)
    .returning('name')
    .execute()
  return replaced.length > 0
}

async function removeScenario(db: Kysely<Schema>, name: string): Promise<boolean> {
  const removed = await db.deleteFrom('scenarios').where('name', '=', name).executeTakeFirst()
  return removed.numDeletedRows > 0n
}

/** Fields that are new since it was stored have their defaults; those that only a newer version knows are left out. */
function parseSpec({ name, spec }: { name: string; spec: string }): Scenario {
  const scenario = Value.Default(scenarioSchema, Value.Clean(scenarioSchema, JSON.parse(spec)))
  if (Value.Check(scenarioSchema, scenario)) return scenario
  const [first] = Value.Errors(scenarioSchema, scenario)
  const where = `${first?.instancePath ?? ''} ${first?.message ?? ''}`
  throw new AppError('SCENARIO_INVALID', `the stored scenario "${name}" cannot be read: ${where}; remove it and make it again`)
}
