/** `3.9 Mbit/s`, `640 kbit/s`. */
export function bitrate(kbps: number): string {
  return kbps >= 999.5 ? `${(kbps / 1000).toFixed(1)} Mbit/s` : `${Math.round(kbps)} kbit/s`
}

const sizeUnits = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `1.4 GB`, `350 MB`, `12 B`; decimal. */
export function size(bytes: number): string {
  let value = bytes
  let index = 0
  while (value >= 999.5 && index < sizeUnits.length - 1) {
    value /= 1000
    index += 1
  }
  const isWhole = index === 0 || value >= 99.95
  return `${value.toFixed(isWhole ? 0 : 1)} ${sizeUnits[index] ?? ''}`
}

/** `12,340`. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `0`, `0.4`, `12`, `1.2 k`, `3.4 M`: how many a second, without the unit. */
export function perSecond(value: number): string {
  if (value === 0) return '0'
  if (value < 9.95) return value.toFixed(1)
  if (value < 999.5) return String(Math.round(value))
  return value < 999_500 ? `${shortened(value / 1000)} k` : `${shortened(value / 1_000_000)} M`
}

/** `12 s`, `4 min`, `3 h`, `2 d`: in the unit that needs one or two digits. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** `14:03:07` in the viewer's time zone. */
export function timeOfDay(date: Date): string {
  return `${timeOfDayShort(date)}:${twoDigits(date.getSeconds())}`
}

/** `14:03:07.120` in the viewer's time zone, with the day in front when it is not that of `now`. */
export function preciseMoment(date: Date, now: Date): string {
  return `${moment(date, now)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** `14:03` in the viewer's time zone. */
export function timeOfDayShort(date: Date): string {
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`
}

/** `Sat, 21 Nov` in the viewer's time zone and language. */
export function day(date: Date): string {
  return date.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric', month: 'short' })
}

/** `14:03:07`, with the day in front when it is not that of `now`. */
export function moment(date: Date, now: Date): string {
  return isSameDay(date, now) ? timeOfDay(date) : `${day(date)}, ${timeOfDay(date)}`
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function shortened(value: number): string {
  return value < 99.95 ? value.toFixed(1) : String(Math.round(value))
}

function isSameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate()
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
