import { Value } from 'typebox/value'
import { formatKeyPath, type KeyPath } from '#lib/config/key-path.ts'
import type { Finding } from '#lib/config/validate.ts'
import { AppError } from '#lib/errors.ts'
import { scenarioSchema, type Scenario } from '../scenario.ts'
import { scenarioProblems } from './scenario-rules.ts'

/** Problems that one message names. */
const maxNamed = 20

/** A scenario as somebody wrote it, with defaults for what is left out. Throws `SCENARIO_INVALID`; `details.issues` lists every place. */
export function parseScenario(written: unknown): Scenario {
  const scenario = withDefaults(written)
  if (!Value.Check(scenarioSchema, scenario)) throw invalid(written, schemaProblems(scenario))
  const problems = scenarioProblems(scenario)
  if (problems.length > 0) throw invalid(written, problems)
  return scenario
}

/** Everything that is wrong with a scenario, by its schema and by the rules. */
export function findScenarioProblems(written: unknown): readonly Finding[] {
  const scenario = withDefaults(written)
  return Value.Check(scenarioSchema, scenario) ? scenarioProblems(scenario) : schemaProblems(scenario)
}

function withDefaults(written: unknown): unknown {
  return Value.Default(scenarioSchema, structuredClone(written))
}

/** One a place. Of a union only that it fits none: the reasons of each variant contradict each other. */
function schemaProblems(value: unknown): Finding[] {
  const problems = new Map<string, string>()
  const errors = Value.Errors(scenarioSchema, value)
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath)
  for (const { instancePath, keyword, message } of errors) {
    const isWithinUnion = unions.some((path) => instancePath.startsWith(`${path}/`) || instancePath === path)
    if (keyword === 'anyOf')
      problems.set(instancePath, 'fits none of its forms; a rate has mode "crf", "capped" or "average", and what belongs to it')
    else if (!isWithinUnion && !problems.has(instancePath)) problems.set(instancePath, message)
  }
  return [...problems].map(([path, message]) => ({ path: toKeyPath(path), message }))
}

function toKeyPath(pointer: string): KeyPath {
  const parts = pointer.split('/').slice(1)
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

function invalid(written: unknown, problems: readonly Finding[]): AppError {
  const issues = problems.slice(0, maxNamed).map(({ path, message }) => ({ path: formatKeyPath(path), message }))
  const lines = issues.map(({ path, message }) => `${path} ${message}`.trim())
  const more = problems.length > maxNamed ? `, and ${problems.length - maxNamed} more` : ''
  return new AppError('SCENARIO_INVALID', `scenario ${nameOf(written)}cannot be: ${lines.join('; ')}${more}`, {
    details: { issues },
  })
}

function nameOf(written: unknown): string {
  return typeof written === 'object' && written !== null && 'name' in written && typeof written.name === 'string'
    ? `"${written.name.slice(0, 63)}" `
    : ''
}
