import { Scenario, type Plan } from './scenario.ts'
import { World } from './world.ts'

/** What came of a seed; `history` ends with what was wrong. */
export type Outcome = {
  readonly plan: Plan
  readonly message?: string
  readonly stack?: string
  readonly history: readonly string[]
}

const maxTries = 40
const shortestMs = 1000

export async function runPlan(plan: Plan): Promise<Outcome> {
  await using world = await World.create(plan.seed)
  const onUnhandled = (error: unknown): void => world.fail(error)
  process.on('unhandledRejection', onUnhandled)
  try {
    await new Scenario(world, plan).run()
    return { plan, history: world.history }
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : ''
    return { plan, message: error.message, stack: `${error.stack}${cause}`, history: world.history }
  } finally {
    process.off('unhandledRejection', onUnhandled)
  }
}

/** The same failure with fewer kinds of faults and in less time, as far as that is found quickly. */
export async function shrink(failed: Outcome): Promise<Outcome> {
  let best = failed
  let tries = 0
  const tryPlan = async (plan: Plan): Promise<boolean> => {
    tries += 1
    const outcome = tries > maxTries ? undefined : await runPlan(plan)
    if (outcome?.message === undefined) return false
    best = outcome
    return true
  }
  for (const fault of failed.plan.faults)
    await tryPlan({ ...best.plan, faults: best.plan.faults.filter((kind) => kind !== fault) })
  for (const part of [0.25, 0.5, 0.75, 0.9]) {
    for (;;) {
      const durationMs = Math.floor(best.plan.durationMs * part)
      if (durationMs < shortestMs || !(await tryPlan({ ...best.plan, durationMs }))) break
    }
  }
  return best
}
