import type { PackageFacts, PackageOrder, Rational } from '#codec/transcoding.ts'
import type { Cuts } from './cuts.ts'
import type { Meter } from './meter.ts'

/** An order with what follows from it. */
export type Packaging = {
  readonly order: PackageOrder
  readonly duration: Rational
  readonly cuts: Cuts
  readonly meter: Meter
  readonly signal: AbortSignal
}

/** A file that was written, by its name in the output directory. */
export type OutputFile = { readonly name: string; readonly contentType: string }
export type Packaged = {
  readonly entry: string
  readonly tracks: PackageFacts['tracks']
  readonly files: readonly OutputFile[]
}

/** The pass over a track in which it is read back. */
export function verifyPass(name: string): string {
  return `verify ${name}`
}
