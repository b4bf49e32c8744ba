import { badInputsOf, type BadInputs } from '#codec/bad-inputs.ts'
import type { PackageOrder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'
import { openFirst, packetOrder, readInput, type OrderedTrack } from './stitched-track.ts'

type Look = {
  readonly signal: AbortSignal
  /** Called after each input. */
  readonly onInput: () => void
}
type BadInput = BadInputs[number]

/**
 * For an error that names an input: one that names all inputs that are at fault, so that they are made again at once. They are read to their ends, which costs
 * nothing unless one of them is damaged. Any other error comes back as it is. Throws the signal's reason.
 */
export async function withAllBadInputs(error: unknown, order: PackageOrder, look: Look): Promise<unknown> {
  if (!isOfInput(error)) return error
  const named = badInputsOf(error)
  const others: BadInput[] = []
  try {
    for await (const bad of badInputsIn(order, look)) if (!named.some((one) => isSame(one, bad))) others.push(bad)
  } catch (reason) {
    look.signal.throwIfAborted()
    // What cannot be read now is looked at by the next attempt.
    if (!(reason instanceof AppError && reason.code === 'SOURCE_UNREACHABLE')) throw reason
  }
  if (others.length === 0) return error
  const list = others.map(({ track, input }) => `input ${input} of "${track}"`).join(', ')
  const message = `${error.message}; at fault is also ${list}`
  return new AppError(error.code, message, { cause: error, details: { inputs: [...named, ...others] } })
}

async function* badInputsIn({ tracks }: PackageOrder, { signal, onInput }: Look): AsyncGenerator<BadInput> {
  for (const track of tracks) {
    const first = await findFirstStream(track, signal)
    for (const input of track.inputs.keys()) {
      if (await isBad(track, input, { first, signal })) yield { track: track.name, input }
      onInput()
    }
  }
}

/** Undefined when the first input is bad: what the others are to be like is not known then. */
async function findFirstStream(track: OrderedTrack, signal: AbortSignal): Promise<ChunkStream | undefined> {
  try {
    await using first = await openFirst(track, signal)
    return first.stream
  } catch (error) {
    if (isOfInput(error)) return undefined
    throw error
  }
}

async function isBad(
  track: OrderedTrack,
  input: number,
  { first, signal }: { first: ChunkStream | undefined; signal: AbortSignal },
): Promise<boolean> {
  if (input === 0 && first === undefined) return true
  const samples = readInput(track, input, { frames: packetOrder(track, input), first, signal })
  try {
    while (!(await samples.next()).done);
    return false
  } catch (error) {
    if (isOfInput(error)) return true
    throw error
  }
}

/** Such an input can be made again; one that cannot be reached is none. */
function isOfInput(error: unknown): error is AppError {
  if (!(error instanceof AppError) || badInputsOf(error).length === 0) return false
  return error.code === 'INPUT_DAMAGED' || error.code === 'ENCODE_DAMAGED'
}

function isSame(one: BadInput, other: BadInput): boolean {
  return one.track === other.track && one.input === other.input
}
