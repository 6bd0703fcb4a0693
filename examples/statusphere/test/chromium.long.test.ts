import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { openChromium, type Browser, type BrowserContext, type BrowserPage } from './chromium.ts'
import { createAccount, PASSWORD, startNetwork, writeStatus, type Network } from './world.ts'

/** Where the pictures go, for a look at the page. */
const pictures = join(import.meta.dirname, '../../../.cache/statusphere')

let browser: Browser | undefined
let network: Network
let url: string

beforeAll(async () => {
  browser = await openChromium()
  network = await startNetwork({ pds: 2 })
  url = network.statusphere.url
  mkdirSync(pictures, { recursive: true })
})
afterAll(async () => {
  await browser?.close()
  await network?.[Symbol.asyncDispose]()
})

interface Tab extends AsyncDisposable {
  readonly page: BrowserPage
  readonly context: BrowserContext
  /** Everything the browser complained about: errors of the script, refusals of the policy. */
  readonly complaints: readonly string[]
}

/** A browser of its own: no cookie is shared with another tab. */
async function openTab(skip: TestContext['skip'], options: object = {}): Promise<Tab> {
  if (browser === undefined) return skip('no Chromium')
  const context = await browser.newContext({ viewport: { width: 720, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return { page, context, complaints, [Symbol.asyncDispose]: () => context.close() }
}

async function signIn(page: BrowserPage, handle: string): Promise<void> {
  await page.goto(url)
  await page.fill('[name=identifier]', handle)
  await page.fill('[name=password]', PASSWORD)
  await page.click('.sign-in button')
  await page.waitForSelector('.viewer')
}

describe('in a real browser', () => {
  it('signs in, says how it feels, is seen by another, and signs out', async ({ skip }) => {
    await createAccount(network, 'alice')
    await using alice = await openTab(skip)
    await using watcher = await openTab(skip, { colorScheme: 'dark' })
    await watcher.page.goto(url)
    await watcher.page.waitForSelector('text=Nobody has said anything yet.')
    await watcher.page.screenshot({ path: join(pictures, 'signed-out.png') })

    await signIn(alice.page, 'alice.pds1.test')
    expect(await alice.context.cookies()).toMatchObject([
      { name: 'statusphere', httpOnly: true, sameSite: 'Lax', path: '/' },
    ])
    expect(await alice.page.evaluate('document.cookie')).toBe('')
    await alice.page.click('.moods button[value="🦋"]')
    await alice.page.waitForSelector('.moods button[value="🦋"][aria-pressed=true]')

    // Nobody touches this tab: what it shows came over the stream.
    await watcher.page.waitForSelector('.statuses li:has-text("@alice.pds1.test"):has-text("🦋")')
    await watcher.page.waitForSelector('.counts li:has-text("🦋 1")')

    await alice.page.fill('.other input', '🌻')
    await alice.page.click('.other button')
    await watcher.page.waitForSelector('.statuses li.new:has-text("🌻")')
    expect(await watcher.page.evaluate('document.querySelectorAll(".statuses li").length')).toBe(2)

    await alice.page.click('text=Sign out')
    await alice.page.waitForSelector('.sign-in')
    expect(await alice.context.cookies()).toEqual([])
    expect([...alice.complaints, ...watcher.complaints]).toEqual([])
  })

  it('shows hostile records as text and runs none of them', async ({ skip }) => {
    await using tab = await openTab(skip)
    await tab.page.goto(url)
    const mallory = await createAccount(network, 'mallory', 1)
    await writeStatus(mallory, '<img src=x onerror="document.title=1">')
    const uri = await writeStatus(mallory, '<')
    await tab.page.waitForSelector(`[data-uri="${uri}"]`)
    expect(await tab.page.innerText(`[data-uri="${uri}"] .mood`)).toBe('<')
    expect(await tab.page.evaluate('document.images.length')).toBe(0)
    expect(await tab.page.evaluate('document.title')).toBe('Statusphere')
    expect(tab.complaints).toEqual([])
  })

  it('refuses script that got into the page all the same', async ({ skip }) => {
    await using tab = await openTab(skip)
    await tab.page.goto(url)
    await tab.page.evaluate(
      `document.getElementById('board').innerHTML = '<img src="data:," onerror="document.title=1">'`,
    )
    await expect.poll(() => tab.complaints.join('\n')).toContain('Content Security Policy')
    expect(await tab.page.evaluate('document.title')).toBe('Statusphere')
  })

  it('takes no form from another port of the same host', async ({ skip }) => {
    await createAccount(network, 'victim')
    await using tab = await openTab(skip)
    await signIn(tab.page, 'victim.pds1.test')
    // The PDS is on the same host, so the cookie is sent: SameSite does not tell ports apart.
    await tab.page.goto(network.pds[0]!.url)
    await tab.page.setContent(
      `<form method="post" action="${url}/status"><button name="status" value="💀">x</button></form>`,
    )
    await tab.page.click('button')
    await tab.page.waitForSelector('text=This form was sent from another site.')
    expect(await tab.page.innerText('#board')).not.toContain('💀')
  })

  it('works without script', async ({ skip }) => {
    await createAccount(network, 'plain')
    await using tab = await openTab(skip, { javaScriptEnabled: false })
    await signIn(tab.page, 'plain.pds1.test')
    await tab.page.click('.moods button[value="🚀"]')
    await tab.page.waitForSelector('.statuses li:has-text("@plain.pds1.test"):has-text("🚀")')
  })

  it('looks right when there is much to see', async ({ skip }) => {
    const names = ['berta', 'carl', 'dora', 'emil']
    for (const [index, name] of names.entries()) {
      const agent = await createAccount(network, name, index % 2)
      for (const mood of ['👍', '🥳', '🚀', '🧠'].slice(index)) await writeStatus(agent, mood)
    }
    for (const colorScheme of ['light', 'dark']) {
      await using tab = await openTab(skip, { colorScheme })
      await signIn(tab.page, 'dora.pds1.test')
      await tab.page.waitForSelector('.counts li:has-text("👍 1")')
      await tab.page.screenshot({ path: join(pictures, `${colorScheme}.png`) })
      expect(await tab.page.evaluate('document.documentElement.scrollWidth')).toBe(720)
    }
    await using phone = await openTab(skip, { viewport: { width: 360, height: 740 } })
    await signIn(phone.page, 'dora.pds1.test')
    await phone.page.screenshot({ path: join(pictures, 'phone.png') })
    expect(await phone.page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  })
})
