import { request as httpRequest } from 'node:http'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStatusphere, type Statusphere } from '@example/statusphere'
import { createVisitor, readLive, type Page, type Visitor } from './visitor.ts'
import { createAccount, PASSWORD, startNetwork, writeStatus, type Network } from './world.ts'

/** How long a write may take to be seen. It takes milliseconds. */
const SEEN_WITHIN_MS = 10_000

let network: Network
let url: string

beforeAll(async () => {
  network = await startNetwork({ pds: 2 })
  url = network.statusphere.url
})
afterAll(async () => {
  await network?.[Symbol.asyncDispose]()
})

async function signIn(identifier: string, password = PASSWORD): Promise<[Visitor, Page]> {
  const visitor = createVisitor(url)
  return [visitor, await visitor.post('/login', { identifier, password })]
}

/** The first board that `/live` sends and that fits. */
async function boardWith(fits: (board: string) => boolean): Promise<string> {
  for await (const board of readLive(url, AbortSignal.timeout(SEEN_WITHIN_MS)))
    if (fits(board)) return board
  throw new Error('the stream ended')
}

function itemOf(board: string, uri: string): string {
  return (
    /<li[^>]*>([\s\S]*?)<\/li>/.exec(board.slice(board.indexOf(`data-uri="${uri}"`) - 4))?.[1] ?? ''
  )
}

describe('the server', () => {
  it('is small: 150 lines, but for the lexicon, types, comments and blank lines', () => {
    const folder = join(import.meta.dirname, '../src')
    const isCode = (line: string): boolean => !/^\s*($|\/\/|\/?\*|(import|export) type )/.test(line)
    const lines = readdirSync(folder)
      .filter((name) => name !== 'lexicon.ts' && name !== 'statusphere.ts')
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    const code = lines.filter(isCode)
    expect(code.length).toBeGreaterThan(100)
    expect(code.length).toBeLessThanOrEqual(150)
    const server = readFileSync(join(folder, 'server.ts'), 'utf8')
    const indexing = /const relay = [\s\S]*?index\.run\(.*\n/.exec(server)?.[0] ?? ''
    expect(indexing.split('\n').filter(isCode).length).toBeLessThanOrEqual(15)
    expect(indexing).toContain('openIndexer')
  })
})

describe('the page', () => {
  it('is served with a policy that loads nothing from elsewhere', async () => {
    const page = await createVisitor(url).get('/')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = page.headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(page.headers.get('x-powered-by')).toBeNull()
    expect(page.text).toContain('name="password"')
    expect(page.text).not.toMatch(/\son\w+=|style=|<script>/)
    for (const file of ['/style.css', '/live.js'])
      expect((await createVisitor(url).get(file)).status).toBe(200)
  })

  it('says so in HTML when there is nothing', async () => {
    const page = await createVisitor(url).get('/nothing')
    expect(page.status).toBe(404)
    expect(page.text).toContain('There is nothing here.')
  })
})

describe('signing in', () => {
  it('takes a handle or a DID of any PDS', async () => {
    const agent = await createAccount(network, 'anna', 1)
    for (const identifier of [`@Anna.pds2.test `, agent.assertDid]) {
      const [visitor, answer] = await signIn(identifier)
      expect(answer.status).toBe(303)
      expect(answer.headers.get('location')).toBe('/')
      const cookie = answer.headers.get('set-cookie')
      expect(cookie).toMatch(/^statusphere=[\w-]{43}; /)
      expect(cookie).toContain('HttpOnly')
      expect(cookie).toContain('SameSite=Lax')
      expect((await visitor.get('/')).text).toContain('@anna.pds2.test')
    }
  })

  it('marks the cookie as secure behind a proxy that speaks https', async () => {
    await createAccount(network, 'secure')
    const visitor = createVisitor(url)
    const fields = { identifier: 'secure.pds1.test', password: PASSWORD }
    const https = { 'x-forwarded-proto': 'https', 'sec-fetch-site': 'same-origin' }
    const answer = await visitor.post('/login', fields, https)
    expect(answer.headers.get('set-cookie')).toContain('Secure')
  })

  it.each([
    ['a wrong password', 'anna.pds2.test', 'wrong', 401, 'Invalid identifier or password'],
    ['what is no name', '<b>"x', PASSWORD, 400, 'No account of this name was found.'],
    ['no name', '', PASSWORD, 400, 'No account of this name was found.'],
    [
      'an unknown DID',
      `did:plc:${'a'.repeat(24)}`,
      PASSWORD,
      400,
      'No account of this name was found.',
    ],
  ])('refuses %s', async (_what, identifier, password, status, problem) => {
    const [visitor, answer] = await signIn(identifier, password)
    expect(answer.status).toBe(status)
    expect(answer.text).toContain(problem)
    expect(answer.text).not.toContain('<b>"x')
    expect(visitor.cookies()).toBe('')
  })

  it('refuses an unknown handle', async () => {
    const [visitor, answer] = await signIn('nobody.pds1.test')
    // Nobody's domain does not answer either, which is not the same as a no.
    expect([400, 502]).toContain(answer.status)
    expect(answer.text).toContain('No account of this name was found.')
    expect(visitor.cookies()).toBe('')
  })

  it('ends by signing out, at the PDS too', async () => {
    await createAccount(network, 'otto')
    const [visitor] = await signIn('otto.pds1.test')
    const secret = visitor.cookies()
    expect((await visitor.post('/logout', {})).status).toBe(303)
    expect(visitor.cookies()).toBe('')
    const replayed = await fetch(url, { headers: { cookie: secret } })
    expect(await replayed.text()).toContain('name="password"')
  })
})

describe('a status', () => {
  it('is written to the PDS, seen by everybody live, and counted', async () => {
    const agent = await createAccount(network, 'wanda', 1)
    const [visitor] = await signIn('wanda.pds2.test')
    const seen = boardWith((board) => board.includes('@wanda.pds2.test') && board.includes('🦋'))
    expect((await visitor.post('/status', { status: '🦋' })).status).toBe(303)

    const { data } = await agent.com.atproto.repo.listRecords({
      repo: agent.assertDid,
      collection: 'xyz.statusphere.status',
    })
    expect(data.records).toHaveLength(1)
    expect(data.records[0]!.value).toMatchObject({ status: '🦋' })
    const board = await seen
    expect(itemOf(board, data.records[0]!.uri)).toContain('🦋')
    expect(board).toMatch(/🦋 <b>1<\/b>/)

    const page = await visitor.get('/')
    expect(page.text).toMatch(/value="🦋"\s+aria-pressed="true"/)
  })

  it('of another app shows up with the verified handle of its author, and goes when it is deleted', async () => {
    const agent = await createAccount(network, 'xaver')
    const uri = await writeStatus(agent, '🧌')
    await writeStatus(agent, '🧌')
    const board = await boardWith(
      (text) => /🧌 <b>2<\/b>/.test(text) && text.includes('@xaver.pds1.test'),
    )
    expect(itemOf(board, uri)).toContain('@xaver.pds1.test')
    const [, , , collection = '', rkey = ''] = uri.split('/')
    await agent.com.atproto.repo.deleteRecord({ repo: agent.assertDid, collection, rkey })
    const after = await boardWith((text) => /🧌 <b>1<\/b>/.test(text))
    expect(itemOf(after, uri)).toBe('')
  })

  it('disappears with its account', async () => {
    const agent = await createAccount(network, 'yara')
    const uri = await writeStatus(agent, '🫡')
    await boardWith((board) => board.includes(uri))
    await agent.com.atproto.server.deactivateAccount({})
    const board = await boardWith((text) => !text.includes(uri))
    expect(board).not.toContain('🫡')
  })

  it('is refused in words when the PDS refuses it', async () => {
    const agent = await createAccount(network, 'zoe')
    const [visitor] = await signIn('zoe.pds1.test')
    await agent.com.atproto.server.deactivateAccount({})
    const answer = await visitor.post('/status', { status: '👍' })
    expect([400, 401, 403]).toContain(answer.status)
    expect(answer.text).toMatch(/role="alert">[^<]*[Dd]eactivated/)
  })

  it('needs a sign-in', async () => {
    const answer = await createVisitor(url).post('/status', { status: '👍' })
    expect(answer.status).toBe(401)
    expect(answer.text).toContain('Please sign in first.')
  })
})

describe('hostile input', () => {
  it('refuses what is not one emoji', async () => {
    const agent = await createAccount(network, 'hans')
    const [visitor] = await signIn('hans.pds1.test')
    for (const status of [
      '',
      'two',
      '👍👍',
      '<script>alert(1)</script>',
      `👍${'\u0301'.repeat(40)}`,
    ]) {
      const answer = await visitor.post('/status', { status })
      expect([status, answer.status]).toEqual([status, 400])
      expect(answer.text).toContain('A status is one emoji')
      expect(answer.text).not.toContain('<script>alert')
    }
    const { data } = await agent.com.atproto.repo.listRecords({
      repo: agent.assertDid,
      collection: 'xyz.statusphere.status',
    })
    expect(data.records).toEqual([])
  })

  it('keeps records that break the lexicon out, and escapes those that do not', async () => {
    const agent = await createAccount(network, 'mallory')
    const invalid = await writeStatus(agent, '<img src=x onerror=alert(1)>')
    const valid = await writeStatus(agent, '<')
    const board = await boardWith((text) => text.includes(valid))
    expect(board).not.toContain(invalid)
    expect(board).not.toContain('<img')
    expect(itemOf(board, valid)).toContain('>&lt;<')
    const [dead] = await network.statusphere.index.deadLetters()
    expect(dead?.uri).toBe(invalid)
  })

  it('refuses forms that are too long, or of another kind', async () => {
    const visitor = createVisitor(url)
    const long = await visitor.post('/login', { identifier: 'x'.repeat(5_000), password: 'x' })
    expect(long.status).toBe(413)
    expect(long.text).toContain('too large')
    const json = await fetch(new URL('/login', url), {
      method: 'POST',
      headers: { origin: url, 'content-type': 'application/json' },
      body: JSON.stringify({ identifier: 'anna.pds2.test', password: PASSWORD }),
    })
    expect(json.status).toBe(400)
    const twice = await fetch(new URL('/login', url), {
      method: 'POST',
      headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded' },
      body: `identifier=anna.pds2.test&password=a&password=${PASSWORD}`,
    })
    expect(twice.status).toBe(401)
  })

  it('refuses forms from elsewhere, whatever they do', async () => {
    await createAccount(network, 'victim')
    const [visitor] = await signIn('victim.pds1.test')
    const otherPort = new URL(url)
    otherPort.port = '1'
    const elsewhere: readonly Readonly<Record<string, string>>[] = [
      {},
      { origin: 'https://evil.example.com' },
      { origin: 'null' },
      { origin: otherPort.origin },
      { origin: `${url}.evil.example.com` },
      { 'sec-fetch-site': 'cross-site', origin: url },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ]
    for (const headers of elsewhere)
      for (const path of ['/status', '/logout', '/login']) {
        const answer = await visitor.post(path, { status: '💀' }, headers)
        expect([path, headers, answer.status]).toEqual([path, headers, 403])
      }
    expect((await visitor.get('/')).text).toContain('@victim.pds1.test')
    expect((await visitor.post('/status', { status: '🥳' })).status).toBe(303)
  })

  it('ignores cookies that it did not give', async () => {
    for (const cookie of [
      'statusphere=',
      `statusphere=${'A'.repeat(43)}`,
      'statusphere=__proto__; x=y',
    ])
      expect(await (await fetch(url, { headers: { cookie } })).text()).toContain('name="password"')
  })
})

describe('a start', () => {
  it('finds what was written before it, and while it was down', async () => {
    const agent = await createAccount(network, 'erna', 1)
    const dataDirectory = mkdtempSync(join(tmpdir(), 'skywright-statusphere-'))
    const { plc, relay } = network
    const config = { host: 'localhost', port: 0, dev: true, onIssue: () => undefined }
    const start = async (): Promise<Statusphere> =>
      startStatusphere({ ...config, data: dataDirectory, plc: plc.url, relay: relay.url })
    try {
      const uris: string[] = []
      for (const status of ['🌱', '🌳']) {
        uris.push(await writeStatus(agent, status))
        await using late = await start()
        const query = late.index.select('status').where({ did: agent.assertDid })
        const wanted = uris.length
        let seen: string[] = []
        for await (const rows of query.live({ signal: AbortSignal.timeout(SEEN_WITHIN_MS) })) {
          seen = rows.map((row) => row.uri)
          if (seen.length === wanted) break
        }
        expect(seen.toSorted()).toEqual(uris.toSorted())
      }
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true })
    }
  })
})

describe('a stop', () => {
  it('ends the streams of open pages at once', async () => {
    await using own = await startNetwork({ pds: 1 })
    const live = httpRequest(new URL('/live', own.statusphere.url)).end()
    const [response] = (await once(live, 'response')) as [IncomingMessage]
    response.resume()
    const ended = once(response, 'end')
    const started = performance.now()
    await own.statusphere[Symbol.asyncDispose]()
    await ended
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})
