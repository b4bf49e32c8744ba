import type { ScenarioView } from './job-api.ts'

/** A scenario as it can be changed and added: where it came from is for the server to say. */
export function scenarioText(scenario: ScenarioView): string {
  const { origin: _, ...rest } = scenario
  return JSON.stringify(rest, null, 2)
}
