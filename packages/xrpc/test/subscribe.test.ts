import { describe, expect, it } from 'vitest'
import { serveNode } from '../src/adapters/node.ts'
import { attachSubscriptions, openWebSocket } from '../src/adapters/ws.ts'
import { InvalidFrameError, StreamClosedError, XrpcError } from '../src/errors.ts'
import { encodeErrorFrame, encodeMessageFrame } from '../src/frame.ts'
import { createRouter } from '../src/router.ts'
import { openPlatformStream } from '../src/stream-connection.ts'
import type { OpenStream } from '../src/stream-connection.ts'
import { subscribe } from '../src/subscribe.ts'
import type { SubscribeOptions, SubscriptionIssue } from '../src/subscribe.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

type Options = SubscribeOptions<ExampleDocuments, 'com.example.listen'>

const tick = (seq: number): Uint8Array => encodeMessageFrame('#tick', { seq })

/** Connections one after the other: frames to give, and an error to end with. */
function script(connections: readonly (readonly (Uint8Array | Error)[])[]): {
  open: OpenStream
  urls: string[]
} {
  const urls: string[] = []
  return {
    urls,
    open: async function* (url) {
      const items = connections[urls.length]
      urls.push(url)
      for (const item of items ?? [new StreamClosedError('over', { status: 400 })]) {
        if (item instanceof Error) throw item
        yield item
      }
    },
  }
}

async function run(
  open: OpenStream,
  options: Partial<Options> = {},
): Promise<{ seqs: unknown[]; issues: SubscriptionIssue[]; error: unknown; waits: number[] }> {
  const seqs: unknown[] = []
  const issues: SubscriptionIssue[] = []
  const waits: number[] = []
  let error: unknown
  try {
    for await (const message of subscribe({
      service: 'https://relay.example',
      lexicons: examples,
      nsid: 'com.example.listen',
      open,
      onIssue: (issue) => issues.push(issue),
      wait: async (ms) => void waits.push(ms),
      random: () => 1,
      clock: () => 0,
      ...options,
    })) {
      seqs.push('seq' in message ? message.seq : message.$type)
    }
  } catch (cause) {
    error = cause
  }
  return { seqs, issues, error, waits }
}

describe('subscribe', () => {
  it('resumes behind the last message over any number of connections', async () => {
    const { open, urls } = script([
      [tick(1), tick(2)],
      [new StreamClosedError('gone', { closeCode: 1006 })],
      [tick(3), encodeErrorFrame('ConsumerTooSlow')],
      [new StreamClosedError('busy', { status: 503 })],
      [tick(4)],
    ])
    const { seqs, waits, error } = await run(open, { params: { cursor: 0 } })
    expect(seqs).toEqual([1, 2, 3, 4])
    expect(urls.map((url) => new URL(url).searchParams.get('cursor'))).toEqual([
      '0',
      '2',
      '2',
      '3',
      '3',
      '4',
    ])
    expect(urls[0]).toMatch(/^wss:\/\/relay\.example\/xrpc\/com\.example\.listen\?/)
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16000])
    expect(error).toBeInstanceOf(StreamClosedError)
  })

  it('ends with the error that only the operator can cure', async () => {
    const { open } = script([[tick(1), encodeErrorFrame('FutureCursor', 'ahead')]])
    const { seqs, error } = await run(open)
    expect(seqs).toEqual([1])
    expect(error).toBeInstanceOf(XrpcError)
    expect(error).toMatchObject({ error: 'FutureCursor', message: 'ahead' })
  })

  it('skips what it does not know, and drops the connection on what is malformed', async () => {
    const { open } = script([
      [
        encodeMessageFrame('#new', {}),
        encodeMessageFrame('#tick', { seq: 'x' }),
        tick(1),
        new Uint8Array([1, 2, 3]),
        tick(9),
      ],
      [tick(2)],
    ])
    const { seqs, issues } = await run(open)
    expect(seqs).toEqual([1, 2])
    expect(issues.map(({ kind }) => kind).slice(0, 3)).toEqual([
      'unknown-frame',
      'invalid-message',
      'reconnect',
    ])
    expect(issues[2]).toMatchObject({ error: expect.any(InvalidFrameError) as unknown })
  })

  it('stops with the reason it was told', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const open: OpenStream = async function* () {
      yield tick(1)
      controller.abort(reason)
      throw new StreamClosedError('gone')
    }
    expect((await run(open, { signal: controller.signal })).error).toBe(reason)
  })

  it('forgets failures after a connection that lasted', async () => {
    let time = 0
    const { open } = script([[], [tick(1)], []])
    const lasting: OpenStream = async function* (url, options) {
      for await (const frame of open(url, options)) {
        time += 120_000
        yield frame
      }
    }
    expect((await run(lasting, { clock: () => time })).waits).toEqual([1000, 1000, 2000])
  })
})

describe.each<[string, OpenStream]>([
  ['openWebSocket', openWebSocket],
  ['openPlatformStream', openPlatformStream],
])('%s', (name, open) => {
  async function collectFrom(
    frames: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
    options: Partial<Parameters<OpenStream>[1]> & { readonly path?: string } = {},
  ): Promise<{ lengths: number[]; error: unknown }> {
    const router = createRouter({ lexicons: examples }).add('com.example.listen', {
      handler: ({ signal }) => frames(signal),
    })
    await using server = await serveNode(router, {
      attach: (http) => attachSubscriptions(http, router),
    })
    const { path = '/xrpc/com.example.listen', ...rest } = options
    const lengths: number[] = []
    try {
      for await (const bytes of open(server.url.replace('http', 'ws') + path, {
        signal: new AbortController().signal,
        maxMessageBytes: 1_000_000,
        idleTimeoutMs: 0,
        ...rest,
      })) {
        lengths.push(bytes.length)
      }
    } catch (error) {
      return { lengths, error }
    }
    return { lengths, error: undefined }
  }

  it('gives messages in order and ends when the server does', async () => {
    const { lengths, error } = await collectFrom(async function* () {
      for (let i = 1; i <= 300; i++) yield new Uint8Array(i)
    })
    expect(lengths).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
    expect(error).toBeUndefined()
  })

  it('refuses messages that are too long', async () => {
    const { lengths, error } = await collectFrom(
      async function* () {
        yield new Uint8Array(10)
        yield new Uint8Array(2_000)
      },
      { maxMessageBytes: 1_000 },
    )
    expect(lengths).toEqual([10])
    expect(error).toBeInstanceOf(StreamClosedError)
  })

  it('notices silence', async () => {
    const { error } = await collectFrom(
      async function* (signal) {
        yield new Uint8Array(1)
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
      { idleTimeoutMs: 50 },
    )
    expect(error).toMatchObject({
      message: expect.stringContaining('nothing was received') as unknown,
    })
  })

  it('says why it could not connect', async () => {
    const { error } = await collectFrom(async function* () {}, { path: '/xrpc/com.example.nope' })
    expect(error).toBeInstanceOf(StreamClosedError)
    if (name === 'openWebSocket') expect(error).toMatchObject({ status: 501, retryable: false })
  })
})
