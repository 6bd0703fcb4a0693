import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { SimulatedNetwork } from '@skywright/firehose/testing'
import { createMemoryResolver } from '@skywright/identity/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'

import type { RelayOptions } from '../src/index.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
/** Inside the package, so that its dependencies are found. */
const folder = join(root, '.cache', 'guide')

interface Recipes {
  readonly startRecipes: (
    file: string,
    network: RelayOptions,
    signal: AbortSignal,
  ) => Promise<Server>
}

const guide = readFileSync(join(root, '../../docs/guides/build-an-appview.md'), 'utf8')
const blocks = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [at, name] of ['recipes.ts', 'main.ts'].entries())
    writeFileSync(join(folder, name), blocks[at] ?? '')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('has fewer than 60 lines, imports included, which compile', async () => {
  expect(blocks).toHaveLength(2)
  const lines = blocks.join('\n').split('\n')
  const imports = lines.filter((line) => line.startsWith('import '))
  const code = lines.filter((line) => line.trim() !== '' && !line.startsWith('import '))
  expect(code.length).toBeGreaterThan(40)
  expect(code.length + imports.length).toBeLessThan(60)
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

it('indexes, counts, searches, shows live, and goes on after a restart', async () => {
  const network = await SimulatedNetwork.create({ accounts: 2, hosts: 1, seed: 5, now: Date.now })
  const [alice, bob] = network.accounts
  const resolver = createMemoryResolver()
  for (const { did, key, host } of network.accounts)
    resolver.setAccount({ did, signingKey: key.publicKey, pds: host.url, handle: 'a.test' })
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
  const fetch = async (input: string | URL | Request): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.pathname.endsWith('listReposByCollection'))
      return Response.json({ repos: [{ did: alice!.did }] })
    const account = network.accounts.find(({ did }) => did === url.searchParams.get('did'))
    const chunks: Uint8Array<ArrayBuffer>[] = []
    for await (const chunk of account!.repo.export()) chunks.push(new Uint8Array(chunk))
    return new Response(new Blob(chunks))
  }
  // The file is the guide's own; its type is restated above.
  const { startRecipes } = (await import(pathToFileURL(join(folder, 'recipes.ts')).href)) as Recipes

  const start = async () => {
    const stop = new AbortController()
    const relay: RelayOptions = {
      service: network.hosts[0]!.url,
      resolver,
      fetch,
      relayFetch: fetch,
      open: network.loopback.open,
      now: network.now,
      onIssue: () => undefined,
    }
    const server = await startRecipes(join(folder, 'recipes.db'), relay, stop.signal)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    return {
      url,
      stop: async () => {
        stop.abort()
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
        // SQLite removes its log when the indexer has stored its position and closed the file.
        while (existsSync(join(folder, 'recipes.db-wal')))
          await new Promise((resolve) => setImmediate(resolve))
      },
    }
  }
  const list = async (url: string, query = ''): Promise<Record<string, unknown>[]> => {
    const body = (await (await globalThis.fetch(`${url}/recipes${query}`)).json()) as {
      recipes: Record<string, unknown>[]
    }
    return body.recipes
  }

  const first = await start()
  const live = await globalThis.fetch(`${first.url}/live`)
  const pages: string[] = []
  const untilShown = async (words: string): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of live.body!.values({ preventCancel: true })) {
      pages.push(decoder.decode(chunk))
      if (pages.at(-1)!.includes(words)) return
    }
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
  expect(await list(first.url, '?q=rye')).toEqual([{ uri, title: 'Rye bread', praises: 1 }])
  expect((await list(first.url, '?q=bread')).length).toBe(2)
  expect(await (await globalThis.fetch(first.url)).text()).toContain('EventSource')
  await first.stop()

  await write(bob!, [recipe('3laaaaaaaae22', 'Pie')])
  const second = await start()
  while ((await list(second.url)).length < 4) await new Promise((resolve) => setImmediate(resolve))
  expect(
    (await list(second.url))
      .map(({ title }) => String(title))
      .toSorted((left, right) => (left < right ? -1 : 1)),
  ).toEqual(['Bread soup', 'Pie', 'Rye bread', 'Tea'])
  await second.stop()
}, 60_000)
