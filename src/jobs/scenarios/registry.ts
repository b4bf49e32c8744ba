import { findNearest } from '#lib/config/nearest.ts'
import { AppError } from '#lib/errors.ts'
import type { Scenario } from '../scenario.ts'
import { parseScenario } from './parse-scenario.ts'
import { presets } from './presets.ts'

/** Scenarios that users made by API. */
export interface StoredScenarios {
  /** By name. */
  list(): Promise<readonly Scenario[]>
  find(name: string): Promise<Scenario | undefined>
  /** Throws `SCENARIO_EXISTS`. */
  add(scenario: Scenario): Promise<void>
  /** False: there is none of this name. */
  replace(scenario: Scenario): Promise<boolean>
  /** False: there was none of this name. */
  remove(name: string): Promise<boolean>
}

export type ScenarioOrigin = 'preset' | 'file' | 'api'
export type ScenarioEntry = { readonly scenario: Scenario; readonly origin: ScenarioOrigin }

/** All scenarios by name: presets and those of the configuration file are fixed, those of the API are in the database. */
export class ScenarioRegistry {
  readonly #fixed: ReadonlyMap<string, ScenarioEntry>
  readonly #stored: StoredScenarios

  /** `file`: checked before, and none with the name of a preset. */
  constructor({ file, stored }: { readonly file: readonly Scenario[]; readonly stored: StoredScenarios }) {
    const entries = [
      ...presets.map((scenario) => ({ scenario, origin: 'preset' }) as const),
      ...file.map((scenario) => ({ scenario, origin: 'file' }) as const),
    ]
    this.#fixed = new Map(entries.map((entry) => [entry.scenario.name, entry]))
    this.#stored = stored
  }

  /** Presets, then those of the file, then those of the API by name. A preset of a new version hides one of the API that had its name before. */
  async list(): Promise<readonly ScenarioEntry[]> {
    const stored = await this.#stored.list()
    const added = stored.filter(({ name }) => !this.#fixed.has(name))
    return [...this.#fixed.values(), ...added.map((scenario) => ({ scenario, origin: 'api' }) as const)]
  }

  async find(name: string): Promise<ScenarioEntry | undefined> {
    const fixed = this.#fixed.get(name)
    if (fixed) return fixed
    const scenario = await this.#stored.find(name)
    return scenario && { scenario, origin: 'api' }
  }

  /** Throws `SCENARIO_NOT_FOUND`, with the name that was meant where one is near. */
  async require(name: string): Promise<ScenarioEntry> {
    const found = await this.find(name)
    if (found) return found
    const names = (await this.list()).map(({ scenario }) => scenario.name)
    throw notFound(name, names)
  }

  /** Throws `SCENARIO_INVALID` or `SCENARIO_EXISTS`. */
  async add(written: unknown): Promise<ScenarioEntry> {
    const scenario = parseScenario(written)
    this.#refuseFixed(scenario.name, 'take another name')
    await this.#stored.add(scenario)
    return { scenario, origin: 'api' }
  }

  /** All of it anew. Throws `SCENARIO_INVALID`, `SCENARIO_NOT_FOUND`, or `SCENARIO_EXISTS` for one that is fixed. */
  async replace(written: unknown): Promise<ScenarioEntry> {
    const scenario = parseScenario(written)
    this.#refuseFixed(scenario.name, 'add one with another name')
    if (!(await this.#stored.replace(scenario))) throw notFound(scenario.name)
    return { scenario, origin: 'api' }
  }

  /** Jobs that were planned with it keep it. Throws `SCENARIO_NOT_FOUND`, or `SCENARIO_EXISTS` for one that is fixed. */
  async remove(name: string): Promise<void> {
    this.#refuseFixed(name, 'it cannot be removed here')
    if (!(await this.#stored.remove(name))) throw notFound(name)
  }

  #refuseFixed(name: string, advice: string): void {
    const fixed = this.#fixed.get(name)
    if (fixed === undefined) return
    const what = fixed.origin === 'preset' ? 'is a preset' : 'is declared in the configuration file'
    throw new AppError('SCENARIO_EXISTS', `scenario "${name}" ${what}; ${advice}`)
  }
}

function notFound(name: string, names: readonly string[] = []): AppError {
  const meant = findNearest(name, names)
  const advice = meant === undefined ? '"millrace scenarios list" shows all' : `did you mean "${meant}"?`
  return new AppError('SCENARIO_NOT_FOUND', `there is no scenario "${name}"; ${advice}`)
}
