import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { HttpLoad } from './http-load.ts'
import { race, type Row } from './row.ts'

export type { Row }

const QUERY = '/xrpc/com.example.echo?actor=alice.example.com&tags=one&tags=two'
const REQUESTS_PER_RUN = 2000

/**
 * One of our adapters beside the reference server, each in its own process under the same load; then what it stands on,
 * alone.
 */
export async function measureQuery(adapter: 'node' | 'express'): ReturnType<Row['measure']> {
  await using ours = await startServer(adapter)
  await using rival = await startServer('reference')
  await using ourLoad = await HttpLoad.open(ours.url + QUERY)
  await using rivalLoad = await HttpLoad.open(rival.url + QUERY)
  const rates = await race(
    { run: () => ourLoad.run(REQUESTS_PER_RUN) },
    { run: () => rivalLoad.run(REQUESTS_PER_RUN) },
  )
  await using alone = await startServer(`${adapter}-alone`)
  await using aloneLoad = await HttpLoad.open(alone.url + QUERY)
  const { rival: bare } = await race(
    { run: () => ourLoad.run(REQUESTS_PER_RUN) },
    { run: () => aloneLoad.run(REQUESTS_PER_RUN) },
    3,
  )
  const name = adapter === 'node' ? 'node:http' : 'Express 5'
  const bareRate = Math.round(bare).toLocaleString('en-US')
  return {
    ...rates,
    note: `32 connections; server and client on a core each; ${name} alone, checking nothing, ${bareRate}/s`,
  }
}

async function startServer(name: string): Promise<AsyncDisposable & { readonly url: string }> {
  const args = ['--conditions=@skywright/source', join(import.meta.dirname, 'xrpc-server.ts'), name]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
