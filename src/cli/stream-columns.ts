import type { StreamView } from '#api/contract.ts'
import { formatDuration } from './format.ts'
import type { Color, Terminal } from './terminal.ts'

const stateColors: Record<StreamView['state'], Color> = {
  online: 'green',
  offline: 'red',
  connecting: 'yellow',
  idle: 'dim',
  stopped: 'dim',
}
const recordingColors: Record<StreamView['recording']['state'], Color> = {
  off: 'dim',
  waiting: 'yellow',
  recording: 'red',
  paused: 'yellow',
  failed: 'red',
}

export function stateCell({ state }: StreamView, terminal: Terminal): string {
  return terminal.color(stateColors[state], state)
}

export function recordingCell({ recording }: StreamView, terminal: Terminal): string {
  return terminal.color(recordingColors[recording.state], recording.state)
}

/** Frames a second, kbit/s and age of the last frame; empty while there is no picture. */
export function healthCells({ state, health }: StreamView): { fps: string; kbps: string; lastFrame: string } {
  const isOnline = state === 'online'
  return {
    fps: isOnline ? health.framesPerSecond.toFixed(1) : '',
    kbps: isOnline ? health.bitrateKbps.toFixed(0) : '',
    lastFrame: health.lastUnitAgeMs === undefined ? '' : formatDuration(health.lastUnitAgeMs),
  }
}

/** `h264 1920×1080, aac`. */
export function tracksCell({ tracks }: StreamView): string {
  return tracks
    .map(({ codec, width, height }) => (width === undefined || height === undefined ? codec : `${codec} ${width}×${height}`))
    .join(', ')
}
