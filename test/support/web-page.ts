import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'

/** The web application is served from `web/dist`. */
export function requireBuiltApplication(): void {
  const index = fileURLToPath(new URL('../../web/dist/index.html', import.meta.url))
  assert.ok(existsSync(index), `the web application is not built (${index} is missing); run "npm run build:web"`)
}

export type View = { readonly name: 'desktop' | 'phone'; readonly width: number; readonly height: number }
export const desktop: View = { name: 'desktop', width: 1440, height: 900 }
export const phone: View = { name: 'phone', width: 390, height: 844 }

/** A page, and what its console complained about. Times in it are UTC. */
export async function openPage(browser: Browser, { name, ...viewport }: View): Promise<{ page: Page; complaints: string[] }> {
  const isPhone = name === 'phone'
  const context = await browser.newContext({ viewport, timezoneId: 'UTC', hasTouch: isPhone, isMobile: isPhone })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`)
  })
  return { page, complaints }
}

/** By how much the page is wider than the screen: nothing is to be. */
export async function sidewaysPixels(page: Page): Promise<number> {
  return await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
