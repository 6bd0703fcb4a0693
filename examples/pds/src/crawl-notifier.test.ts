import { describe, expect, it } from 'vitest'
import {
  CRAWL_INTERVAL_MS,
  createCrawlNotifier,
  type CrawlNotifierOptions,
} from './crawl-notifier.ts'

function scenario(answers: readonly (number | Error)[]) {
  const requests: { url: string; body: unknown }[] = []
  const attempts: { relay: string; attempt: number; error?: unknown }[] = []
  const pauses: number[] = []
  const done = Promise.withResolvers<void>()
  let now = 0
  const left = [...answers]
  const options: CrawlNotifierOptions = {
    relays: ['https://relay.example.com'],
    hostname: 'pds.example.com',
    now: () => now,
    fetch: async (input, init) => {
      // The notifier sends text bodies to text addresses.
      requests.push({ url: input as string, body: JSON.parse(init?.body as string) as unknown })
      const answer = left.shift() ?? 200
      if (answer instanceof Error) throw answer
      return new Response('{}', { status: answer })
    },
    delay: async (ms) => {
      pauses.push(ms)
    },
    onAttempt: (attempt) => {
      attempts.push(attempt)
      if (left.length === 0) done.resolve()
    },
  }
  return {
    requests,
    attempts,
    pauses,
    done: done.promise,
    options,
    advance: (ms: number) => (now += ms),
  }
}

describe('createCrawlNotifier', () => {
  it('asks with its host name', async () => {
    const { options, requests, done, attempts } = scenario([200])
    await using notifier = createCrawlNotifier(options)
    notifier.start()
    await done
    expect(requests).toEqual([
      {
        url: 'https://relay.example.com/xrpc/com.atproto.sync.requestCrawl',
        body: { hostname: 'pds.example.com' },
      },
    ])
    expect(attempts).toEqual([{ relay: 'https://relay.example.com', attempt: 1 }])
  })

  it('tries again with growing pauses until the relay listens', async () => {
    const { options, attempts, pauses, done } = scenario([new Error('refused'), 503, 429, 500, 200])
    await using notifier = createCrawlNotifier(options)
    notifier.start()
    await done
    expect(attempts.map(({ error }) => error === undefined)).toEqual([
      false,
      false,
      false,
      false,
      true,
    ])
    expect(pauses).toHaveLength(4)
    pauses.forEach((pause, i) => {
      expect(pause).toBeGreaterThanOrEqual(500 * 2 ** i)
      expect(pause).toBeLessThanOrEqual(1_000 * 2 ** i)
    })
  })

  it('takes a refusal for an answer', async () => {
    const { options, attempts, pauses, done } = scenario([400])
    await using notifier = createCrawlNotifier(options)
    notifier.start()
    await done
    expect(attempts).toHaveLength(1)
    expect(pauses).toEqual([])
  })

  it('asks again when something is published unheard, once per interval', async () => {
    const { options, requests, advance } = scenario([200])
    await using notifier = createCrawlNotifier(options)
    notifier.start()
    notifier.publishedUnheard()
    expect(requests).toHaveLength(1)
    // Lets the first round end.
    await new Promise(setImmediate)
    advance(CRAWL_INTERVAL_MS)
    notifier.publishedUnheard()
    notifier.publishedUnheard()
    expect(requests).toHaveLength(2)
  })
})
