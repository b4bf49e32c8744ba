import { Value } from 'typebox/value'
import { streamSpecSchema, type RecordingPolicy, type StreamSpec } from './settings.ts'

/** Some fields of a spec: what one layer (defaults, file, API) says. */
export type StreamSpecPatch = Partial<Omit<StreamSpec, 'recording'>> & { recording?: Partial<RecordingPolicy> }

/** The spec of a stream about which nobody said anything. */
export function defaultStreamSpec(): StreamSpec {
  return Value.Parse(streamSpecSchema, Value.Default(streamSpecSchema, { recording: {} }))
}

/** A full spec from layers, later ones over earlier ones, field by field; `recording` is merged within. */
export function mergeStreamSpec(...layers: readonly StreamSpecPatch[]): StreamSpec {
  let spec = defaultStreamSpec()
  for (const layer of layers) spec = { ...spec, ...layer, recording: { ...spec.recording, ...layer.recording } }
  return spec
}

/** Both patches as one, the second over the first. */
export function mergePatches(first: StreamSpecPatch, second: StreamSpecPatch): StreamSpecPatch {
  const recording = { ...first.recording, ...second.recording }
  return { ...first, ...second, ...(Object.keys(recording).length > 0 ? { recording } : {}) }
}
