import { chromium, type Browser } from 'playwright-core'
import { ensureProgram } from './ensure-program.ts'

/** Nothing that calls home, asks questions or needs a graphics card; pages may play without a click. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
]

/** A headless Chromium that plays H.264 and AAC, as Debian's does, with an empty profile. Disposing closes it: `await using browser = …`. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = await ensureProgram({ command: 'chromium', debianPackage: 'chromium' })
  return await chromium.launch({ executablePath, headless: true, args: flags })
}
