/** The known name that somebody most likely meant, if one is close enough: typing errors, other case, `snake_case` for `camelCase`. */
export function findNearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = plain(name)
  let best: { name: string; distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate))
    if (distance < (best?.distance ?? Infinity)) best = { name: candidate, distance }
  }
  if (!best) return undefined
  const allowed = Math.max(1, Math.floor(Math.min(wanted.length, best.name.length) / 3))
  return best.distance <= allowed ? best.name : undefined
}

function plain(name: string): string {
  return name.slice(0, 100).toLowerCase().replace(/[-_]/g, '')
}

/** Characters inserted, removed, replaced or swapped with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
