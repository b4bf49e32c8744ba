/** An amount in the largest unit that has it as a whole number. */
export type Amount = { readonly amount: number; readonly unit: number }

/** The units of ages and sizes, smallest first. */
export const ageUnits = [
  { label: 'ms', factor: 1 },
  { label: 's', factor: 1000 },
  { label: 'minutes', factor: 60_000 },
  { label: 'hours', factor: 3_600_000 },
  { label: 'days', factor: 86_400_000 },
] as const
export const sizeUnits = [
  { label: 'B', factor: 1 },
  { label: 'KiB', factor: 1024 },
  { label: 'MiB', factor: 1024 ** 2 },
  { label: 'GiB', factor: 1024 ** 3 },
] as const

/** `{ amount: 7, unit: 86_400_000 }` for the milliseconds of a week. */
export function amountOf(value: number, units: readonly { readonly factor: number }[]): Amount {
  const fitting = units.filter(({ factor }) => value % factor === 0)
  const unit = (value === 0 ? units[0] : fitting.at(-1))?.factor ?? 1
  return { amount: value / unit, unit }
}
