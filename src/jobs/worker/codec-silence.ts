/** A codec process in which nothing moves for this long is ended. Longer than an input is tried for: what is wrong with that says more than silence. */
export const silenceMs = 600_000
/** How long an input is tried that brings nothing: half the silence that a codec process bears from its source, and less. */
export const inputPatienceMs = 240_000
