import { Counter, Gauge, type Registry } from 'prom-client'

/** A value under its labels at one scrape. */
export type Sample = { readonly labels: Record<string, string>; readonly value: number }

/** What is asked for at each scrape and kept nowhere. */
export type Scraped = {
  readonly registry: Registry
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly samples: () => readonly Sample[]
}

export function scrapedGauge({ registry, name, help, labelNames, samples }: Scraped): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset()
      // Without labels `reset` leaves a 0, which would be told for what is not known.
      if (labelNames.length === 0) this.remove()
      for (const { labels, value } of samples()) this.set(labels, value)
    },
  })
}

/** A counter that is kept elsewhere: set to what it is there. */
export function scrapedCounter({ registry, name, help, labelNames, samples }: Scraped): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset()
      for (const { labels, value } of samples()) this.inc(labels, value)
    },
  })
}
