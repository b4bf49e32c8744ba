const sizeUnits = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `1234567` is `1.2 MB`: units of 1000, as disks and links are sold. */
export function formatBytes(bytes: number): string {
  let rest = bytes
  let unit = 0
  for (; rest >= 999.5 && unit < sizeUnits.length - 1; unit++) rest /= 1000
  const digits = unit === 0 || rest >= 99.95 ? 0 : 1
  return `${rest.toFixed(digits)} ${sizeUnits[unit] ?? ''}`
}

/** `850 ms`, `4.2 s`, `3:07 min`, `2:05 h`, `3 d 04 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`
  return `${Math.floor(minutes / 1440)} d ${two(Math.floor(minutes / 60) % 24)} h`
}

/** `2026-01-02 10:00:05` in the time zone of whoever looks. */
export function formatTime(time: string | number): string {
  const date = new Date(time)
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `20260102-100005`: the same for the name of a file. */
export function fileTime(time: string | number): string {
  return formatTime(time).replaceAll(/[-:]/g, '').replace(' ', '-')
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
