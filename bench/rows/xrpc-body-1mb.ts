import { race, type Row } from '../row.ts'
import { memoryOf, startUploadServer } from '../xrpc-upload.ts'

/** Just below what either server takes. */
const MEGABYTE = 1_000_000
const IN_FLIGHT = 4

export const row: Row = {
  work: 'take a procedure call with 1 MB of JSON, parse it and check it against the lexicon',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    const { body, posts } = input()
    await using ours = await startUploadServer('skywright')
    await using rival = await startUploadServer('reference')
    const rates = await race(
      { run: () => call(ours.url, body, posts) },
      { run: () => call(rival.url, body, posts) },
    )
    const [our, their] = [await memoryOf(ours.url), await memoryOf(rival.url)]
    return {
      ...rates,
      note: `${posts} posts a call, ${IN_FLIGHT} calls in flight; memory over that of the idle server at most +${our} MB, rival +${their} MB`,
    }
  },
}

function input(): { readonly body: string; readonly posts: number } {
  const post = {
    text: 'a post as people write them, or nearly',
    createdAt: '2026-11-28T00:00:00Z',
    langs: ['en'],
  }
  const posts = Math.floor((MEGABYTE - 20) / (JSON.stringify(post).length + 1))
  return { body: JSON.stringify({ posts: Array.from({ length: posts }, () => post) }), posts }
}

async function call(url: string, body: string, posts: number): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body }
  const sizes = await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      const response = await fetch(`${url}/xrpc/com.example.write`, init)
      return ((await response.json()) as { readonly size?: unknown }).size
    }),
  )
  if (sizes.some((size) => size !== posts))
    throw new Error(`sent ${posts} posts, counted ${String(sizes)}`)
  return IN_FLIGHT
}
