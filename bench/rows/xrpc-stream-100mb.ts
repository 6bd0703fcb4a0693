import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { race, type Row } from '../row.ts'

const MEGABYTES = 100
const CHUNK = new Uint8Array(65_536)
const CHUNKS = (MEGABYTES * 1_000_000) / CHUNK.length

export const row: Row = {
  work: 'take a streamed upload of 100 MB and count its bytes, in MB',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    await using ours = await startServer('skywright')
    await using rival = await startServer('reference')
    const rates = await race({ run: () => upload(ours.url) }, { run: () => upload(rival.url) }, 3)
    const [our, their] = [await memoryOf(ours.url), await memoryOf(rival.url)]
    return {
      ...rates,
      note: `memory over that of the idle server at most +${our} MB, rival +${their} MB; one upload at a time`,
    }
  },
}

async function upload(url: string): Promise<number> {
  const headers = { 'content-type': 'application/octet-stream' }
  const call = request(`${url}/xrpc/com.example.upload`, { method: 'POST', headers })
  const answered = once(call, 'response')
  Readable.from(chunks()).pipe(call)
  const [response] = (await answered) as [Readable]
  const { size } = JSON.parse(await text(response)) as { size?: unknown }
  const sent = Math.floor(CHUNKS) * CHUNK.length
  if (size !== sent) throw new Error(`sent ${sent} bytes, the server counted ${String(size)}`)
  return sent / 1_000_000
}

function* chunks(): Generator<Uint8Array> {
  for (let i = 1; i <= CHUNKS; i++) yield CHUNK
}

async function memoryOf(url: string): Promise<string> {
  return (await fetch(`${url}/memory`)).text()
}

async function startServer(name: string): Promise<AsyncDisposable & { readonly url: string }> {
  const server = join(import.meta.dirname, '..', 'xrpc-upload-server.ts')
  const args = ['--conditions=@skywright/source', server, name]
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
