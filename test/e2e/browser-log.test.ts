import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { openBrowser } from '../support/browser.ts'
import { type Millrace, showOutputOnFailure, startMillrace } from '../support/program.ts'
import { until } from '../support/until.ts'
import { desktop, openPage, phone, requireBuiltApplication, sidewaysPixels } from '../support/web-page.ts'

const longName = 'payments.settled.by-provider-and-region.eu-central-1.with-a-name-that-nobody-can-say-in-one-breath.v2'

async function post({ url }: Millrace, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(response.ok, `${response.status} from ${path}: ${await response.text()}`)
}

type NewRecord = { readonly key?: string; readonly value: unknown; readonly headers?: readonly { key: string; value: string }[] }

function produce(millrace: Millrace, topic: string, records: readonly NewRecord[]): Promise<void> {
  return post(millrace, `/topics/${topic}/records`, { records })
}

const rows = (page: Page): Locator => page.locator('[data-record]')
const row = (page: Page, offset: number): Locator => page.locator(`[data-record="0:${offset}"]`)

/** What the page says of itself while it waits for records. */
async function untilLive(page: Page): Promise<void> {
  await page.getByLabel('Records', { exact: true }).getByText('Live', { exact: true }).waitFor()
}

async function untilRows(page: Page, count: number): Promise<void> {
  await until(async () => (await rows(page).count()) === count, { what: `${count} rows` })
}

test('the web application shows the event log', { timeout: 120_000 }, async (t) => {
  requireBuiltApplication()
  await using millrace = await startMillrace()
  showOutputOnFailure(t, millrace)
  await using browser = await openBrowser()
  const { page, complaints } = await openPage(browser, desktop)

  await t.test('without topics it says how to produce', async () => {
    await page.goto(millrace.url)
    await page.getByRole('link', { name: 'Event log' }).click()
    await page.getByRole('heading', { name: 'No topics yet' }).waitFor()
    await page.getByText(`${millrace.url}/api/v1/topics/greetings/records`).waitFor()
    await page.getByText(/^echo hello \| kcat -P -b 127\.0\.0\.1:\d+ -t greetings$/).waitFor()
  })

  await t.test('a topic is made in the page, and what is wrong with it is told at its field', async () => {
    await page.getByRole('button', { name: 'New topic' }).click()
    const dialog = page.getByRole('dialog', { name: 'New topic' })
    const name = dialog.getByRole('textbox', { name: 'Name' })
    await name.fill('no good')
    await dialog.getByRole('spinbutton', { name: 'Keep records for' }).fill('')
    await dialog.getByRole('button', { name: 'Create topic' }).click()
    await dialog.getByText(/Is not allowed: 1 to 249 letters/).waitFor()
    await dialog.getByText('Must be an integer.').waitFor()
    assert.equal(await name.getAttribute('aria-invalid'), 'true')
    await name.fill('orders')
    await dialog.getByRole('spinbutton', { name: 'Keep records for' }).fill('3')
    await dialog.getByRole('button', { name: 'Create topic' }).click()
    await page.getByRole('heading', { name: 'orders', exact: true }).waitFor()
    await page.getByText('Nothing is in this topic yet.').waitFor()
    // The browser itself reports the refusal.
    assert.match(complaints.splice(0).join('\n'), /^Failed to load resource: [^\n]*400[^\n]*\/api\/v1\/topics$/)
  })

  await t.test('records appear in the live tail as they come', async () => {
    await untilLive(page)
    await produce(millrace, 'orders', [{ key: 'graz', value: '{"id":12345678901234567890,"items":[1,2]}' }])
    await row(page, 0).getByText('graz').waitFor()
    await produce(millrace, 'orders', [
      { key: 'linz', value: { base64: 'AP9NaWxscmFjZQ==' } },
      { key: 'wien', value: null },
    ])
    await row(page, 2).getByText('deleted (no value)').waitFor()
    await untilRows(page, 3)
    assert.equal(await rows(page).first().getAttribute('data-record'), '0:2')
    await page.getByRole('button', { name: 'Newest first' }).click()
    assert.equal(await rows(page).first().getAttribute('data-record'), '0:0')
    await page.getByRole('button', { name: 'Newest first' }).click()
  })

  await t.test('an open record is seen whole, and nothing moves meanwhile', async () => {
    await row(page, 0).getByRole('button').click()
    const value = row(page, 0).getByLabel('Value').locator('pre')
    assert.equal(await value.textContent(), '{\n  "id": 12345678901234567890,\n  "items": [\n    1,\n    2\n  ]\n}')
    await row(page, 1).getByRole('button', { expanded: false }).click()
    await row(page, 1).getByText('000000  00 ff 4d 69 6c 6c 72 61 63 65').waitFor()
    await row(page, 1).getByRole('button', { name: 'Base64' }).click()
    await row(page, 1).getByText('AP9NaWxscmFjZQ==').waitFor()
    await page.getByText('Paused').waitFor()
    await produce(millrace, 'orders', [{ value: 'meanwhile', headers: [{ key: 'trace', value: 'abc' }] }])
    await page.getByRole('button', { name: 'Go on' }).click()
    await row(page, 3).getByText('meanwhile').waitFor()
    await untilRows(page, 4)
  })

  await t.test('filters sift what is there and what comes', async () => {
    await page.getByLabel('Find in keys').fill('LIN')
    await untilRows(page, 1)
    await page.getByLabel('Find in keys').fill('')
    await page.getByLabel('Find text in records').fill('abc')
    await untilRows(page, 1)
    await row(page, 3).waitFor()
    await produce(millrace, 'orders', [{ value: 'other' }, { value: 'see abc' }])
    await row(page, 5).getByText('see abc').waitFor()
    await untilRows(page, 2)
    await page.getByLabel('Find text in records').fill('')
    await row(page, 0).waitFor()
  })

  await t.test('a test record is produced from the page', async () => {
    const form = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Test record' }) })
    await form.getByRole('textbox', { name: 'Key' }).fill('k')
    await form.getByRole('textbox', { name: 'Value' }).fill('from the page')
    await form.getByText('Headers and partition').click()
    await form.getByRole('textbox', { name: 'Headers' }).fill('source: browser: me')
    await form.getByRole('button', { name: 'Produce' }).click()
    await form.getByText('Stored at offset 6.').waitFor()
    await row(page, 6).getByRole('button').click()
    assert.equal(await row(page, 6).getByLabel('source').locator('pre').textContent(), 'browser: me')
    await page.getByRole('button', { name: 'Go on' }).click()
  })

  await t.test('reading starts from the beginning, an offset or a time, and stops when the list is full', async () => {
    await produce(
      millrace,
      'orders',
      Array.from({ length: 700 }, (_, index) => ({ value: `bulk ${index}` })),
    )
    await page.getByLabel('Start from').selectOption('From beginning')
    await page.getByText('Stopped', { exact: true }).waitFor()
    assert.ok((await rows(page).count()) <= 500)
    assert.equal(await rows(page).first().getAttribute('data-record'), '0:0')
    await page.getByRole('button', { name: 'Read on' }).click()
    await untilLive(page)
    await row(page, 706).waitFor({ state: 'attached' })
    await page.getByLabel('Start from').selectOption('From an offset')
    await page.getByRole('spinbutton', { name: 'Offset' }).fill('703')
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await untilRows(page, 4)
    await page.getByLabel('Start from').selectOption('From a time')
    await page.getByLabel('Time', { exact: true }).fill('2000-01-01T00:00:00')
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await row(page, 0).waitFor()
  })

  await t.test('settings are changed, and a refusal is told at its field', async () => {
    const form = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Settings' }) })
    const size = form.getByRole('spinbutton', { name: 'Largest record batch' })
    await size.fill('3')
    await form.getByRole('button', { name: 'Save' }).click()
    await form.getByText(/>= 1024/).waitFor()
    await size.fill('2097152')
    await form.getByRole('spinbutton', { name: 'Partitions' }).fill('2')
    await form.getByRole('button', { name: 'Save' }).click()
    await form.getByText('Saved.').waitFor()
    assert.equal(await page.getByLabel('Partitions', { exact: true }).locator('tbody tr').count(), 2)
    complaints.splice(0)
  })

  await t.test('a group shows its lag, and is reset', async () => {
    await post(millrace, '/groups/billing/offsets', { topic: 'orders', offsets: [{ partition: 0, offset: 7 }] })
    await page.getByRole('link', { name: 'Event log' }).click()
    await page.getByRole('link', { name: 'Consumer groups' }).click()
    await page.locator('[data-group="billing"]').getByText('700').waitFor()
    await page.getByRole('link', { name: 'billing' }).click()
    await page.locator('[data-offset="orders/0"]').getByText('700').waitFor()
    await page.getByRole('button', { name: 'Reset offsets' }).click()
    const dialog = page.getByRole('dialog', { name: 'Reset offsets' })
    await dialog.getByLabel('The group goes on at').selectOption('latest')
    await dialog.getByRole('cell', { name: '707' }).waitFor()
    await dialog.getByRole('button', { name: 'Reset offsets' }).click()
    await page.getByText('all is read').waitFor()
    await page.getByRole('button', { name: 'Delete group' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete group' }).click()
    await page.getByRole('heading', { name: 'No consumer groups yet' }).waitFor()
  })

  await t.test('topics are found by name, and deleted after a question', async () => {
    await post(millrace, '/topics', { name: longName, partitions: 3 })
    await page.getByRole('link', { name: 'Topics' }).click()
    await page.locator(`[data-topic="${longName}"]`).waitFor()
    await page.getByLabel('Find by name').fill('SETTLED')
    await page.locator('[data-topic="orders"]').waitFor({ state: 'detached' })
    await page.getByRole('link', { name: longName }).click()
    await page.getByRole('button', { name: 'Delete topic' }).click()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Delete topic' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete topic' }).click()
    await page.getByText('No topic has “SETTLED” in its name.').waitFor()
  })

  await t.test('it fits on a phone', async () => {
    await post(millrace, '/topics', { name: longName, partitions: 3 })
    const onPhone = await openPage(browser, phone)
    for (const path of ['#/topics', '#/topics/orders', `#/topics/${longName}`, '#/groups']) {
      await onPhone.page.goto(`${millrace.url}/${path}`)
      await onPhone.page.getByRole('heading', { level: 1 }).waitFor({ state: 'attached' })
      assert.equal(await sidewaysPixels(onPhone.page), 0, path)
    }
    await onPhone.page.goto(`${millrace.url}/#/topics/orders`)
    await rows(onPhone.page).first().click()
    assert.equal(await sidewaysPixels(onPhone.page), 0)
    assert.deepEqual(onPhone.complaints, [])
  })

  // What was deleted may have been asked for once more before its page was left.
  const gone = new RegExp(`404 .*/api/v1/(groups/billing|topics/${longName})`)
  const others = complaints.filter((complaint) => !gone.test(complaint))
  assert.deepEqual(others, [])
})
