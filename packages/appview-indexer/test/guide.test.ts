import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { createEventSockets } from '@skywright/firehose/ws'
import { SimulatedNetwork } from '@skywright/firehose/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
/** Inside the package, so that its dependencies are found. */
const folder = join(root, '.cache', 'guide')

const guide = readFileSync(join(root, '../../docs/guides/build-an-appview.md'), 'utf8')
const blocksOf = (language: string): string[] =>
  [...guide.matchAll(new RegExp('```' + language + '\\n([\\s\\S]*?)```', 'g'))].map(
    (match) => match[1] ?? '',
  )
const blocks = blocksOf('ts')

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [at, name] of ['recipe-lexicon.ts', 'main.ts'].entries())
    writeFileSync(join(folder, name), blocks[at] ?? '')
  writeFileSync(join(folder, 'page.html'), blocksOf('html')[0] ?? '')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('has fewer than 60 lines beside the lexicon, imports included, which compile', async () => {
  expect(blocks).toHaveLength(2)
  const lines = (blocks[1] ?? '').split('\n').filter((line) => line.trim() !== '')
  expect(lines.length).toBeGreaterThan(40)
  expect(lines.length).toBeLessThan(60)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../../../tsconfig.base.json',
      compilerOptions: {
        composite: false,
        isolatedDeclarations: false,
        declaration: false,
        noEmit: true,
      },
      include: ['*.ts'],
    }),
  )
  await run(join(root, '../../node_modules/.bin/tsc'), ['-p', folder])
}, 60_000)

/** A relay, a PDS and a directory of DIDs on one port of loopback. */
async function serveNetwork(network: SimulatedNetwork): Promise<{ url: string } & AsyncDisposable> {
  const sockets = createEventSockets(network.hosts[0]!.log)
  let url = ''
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    const did = searchParams.get('did') ?? decodeURIComponent(pathname.slice(1))
    const account = network.accounts.find((one) => one.did === did)
    if (pathname.endsWith('listReposByCollection'))
      response.end(JSON.stringify({ repos: [{ did: network.accounts[0]!.did }] }))
    else if (account === undefined) response.writeHead(404).end('{}')
    else if (pathname.endsWith('getRepo')) {
      for await (const chunk of account.repo.export()) response.write(chunk)
      response.end()
    } else
      response.end(
        JSON.stringify({
          id: did,
          alsoKnownAs: [],
          verificationMethod: [
            {
              id: `${did}#atproto`,
              type: 'Multikey',
              controller: did,
              publicKeyMultibase: account.key.publicKey.multibase,
            },
          ],
          service: [
            { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: url },
          ],
        }),
      )
  }
  const server = createServer((request, response) => void answer(request, response))
  server.on('upgrade', (request, socket, head) => sockets.upgrade(request, socket, head))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://localhost:${(server.address() as AddressInfo).port}`
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      await sockets[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The reader's process. */
async function startReader(network: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const flags = ['--conditions=@skywright/source', 'main.ts', network, network]
  const env = { ...process.env, PORT: '0' }
  const child = spawn(process.execPath, flags, { cwd: folder, env })
  child.stderr.pipe(process.stderr)
  let url = ''
  for await (const line of createInterface(child.stdout)) {
    url = `http://localhost:${/port: (\d+)/.exec(line)?.[1]}`
    if (!url.endsWith('undefined')) break
  }
  child.stdout.resume()
  return {
    url,
    stop: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGINT')
      expect(await exited).toEqual([0, null])
    },
  }
}

it('indexes, counts, searches, shows live, and goes on after a restart', async () => {
  const network = await SimulatedNetwork.create({ accounts: 2, hosts: 1, seed: 5, now: Date.now })
  const [alice, bob] = network.accounts
  const write = async (...[account, writes]: Parameters<SimulatedNetwork['apply']>) =>
    network.send(account, await network.apply(account, writes))
  const create = (collection: string, rkey: string, record: Record<string, unknown>) => ({
    action: 'create' as const,
    collection,
    rkey,
    record: { $type: collection, ...record },
  })
  const recipe = (rkey: string, title: unknown) => create('com.example.recipe', rkey, { title })
  // Written before the AppView exists: only a backfill finds it.
  await write(alice!, [recipe('3laaaaaaaaa22', 'Rye bread'), recipe('3laaaaaaaab22', 7)])
  await using served = await serveNetwork(network)
  const list = async (url: string, query = ''): Promise<Record<string, unknown>[]> =>
    (await fetch(`${url}/recipes${query}`)).json() as Promise<Record<string, unknown>[]>

  const first = await startReader(served.url)
  const live = await fetch(`${first.url}/live`)
  const reader = live.body!.pipeThrough(new TextDecoderStream()).getReader()
  const untilShown = async (words: string): Promise<void> => {
    for (let text = ''; !text.includes(words);) text += (await reader.read()).value ?? ''
  }
  await untilShown('Rye bread')
  await write(bob!, [recipe('3laaaaaaaac22', 'Bread soup')])
  await untilShown('Bread soup')
  const uri = `at://${alice!.did}/com.example.recipe/3laaaaaaaaa22`
  await write(bob!, [
    create('com.example.praise', 'p1', { subject: uri }),
    create('com.example.praise', 'p2', { subject: uri }),
    recipe('3laaaaaaaad22', 'Tea'),
  ])
  await untilShown('Tea')
  expect(await list(first.url, '?q=rye')).toMatchObject([{ uri, title: 'Rye bread', praises: 1 }])
  expect(await list(first.url, '?q=bread')).toHaveLength(2)
  expect(await (await fetch(first.url)).text()).toContain('EventSource')
  // Nobody stops it by asking nonsense.
  for (const nonsense of ['?q=', '?q=%22', `?q=${'x '.repeat(3_000)}`])
    await fetch(`${first.url}/recipes${nonsense}`).catch(() => undefined)
  expect(await list(first.url)).toHaveLength(3)
  await first.stop()
  // SQLite removes its log when the indexer has stored its position and closed the file.
  expect(readdirSync(folder)).not.toContain('recipes.db-wal')

  await write(bob!, [recipe('3laaaaaaaae22', 'Pie')])
  const second = await startReader(served.url)
  while ((await list(second.url)).length < 4) await new Promise((resolve) => setImmediate(resolve))
  const titles = (await list(second.url)).map(({ title }) => String(title))
  expect(new Set(titles)).toEqual(new Set(['Bread soup', 'Pie', 'Rye bread', 'Tea']))
  await second.stop()
}, 120_000)
