import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBrowser } from './browser.ts'

test('the browser plays what Millrace packages', async () => {
  await using browser = await openBrowser()
  const page = await browser.newPage()
  const isSupported = await page.evaluate(
    `['avc1.42C01E,mp4a.40.2', 'avc1.64001F', 'avc1.42C01E,opus'].map((codecs) => MediaSource.isTypeSupported('video/mp4; codecs="' + codecs + '"'))`,
  )
  assert.deepEqual(isSupported, [true, true, true])
})
