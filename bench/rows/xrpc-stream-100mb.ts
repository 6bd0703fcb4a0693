import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { race, type Row } from '../row.ts'
import { memoryOf, startUploadServer } from '../xrpc-upload.ts'

const MEGABYTES = 100
const CHUNK = new Uint8Array(65_536)
const CHUNKS = (MEGABYTES * 1_000_000) / CHUNK.length

export const row: Row = {
  work: 'take a streamed upload of 100 MB and count its bytes, in MB',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    await using ours = await startUploadServer('skywright')
    await using rival = await startUploadServer('reference')
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
