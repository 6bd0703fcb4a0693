import { decodeEvent, type RepoEvent, type WireEvent } from '@skywright/firehose'
import { decodeFrame } from '@skywright/xrpc/frame'
import { WebSocket } from 'ws'

/** A plain subscriber: keeps everything it hears. */
export interface Subscriber extends AsyncDisposable {
  readonly events: readonly WireEvent[]
  /** The frames of {@link events}. */
  readonly frames: readonly Uint8Array[]
  /** Events about accounts, in the order heard. */
  readonly repoEvents: () => readonly RepoEvent[]
  readonly errors: readonly string[]
  /** Resolves once `condition` holds; fails after some seconds. */
  until(condition: (subscriber: Subscriber) => boolean, what: string): Promise<void>
  readonly closed: Promise<number>
}

const PATIENCE_MS = 30_000

export async function subscribe(url: string, cursor?: number): Promise<Subscriber> {
  const target = new URL('/xrpc/com.atproto.sync.subscribeRepos', url.replace(/^http/, 'ws'))
  if (cursor !== undefined) target.searchParams.set('cursor', String(cursor))
  const socket = new WebSocket(target)
  const events: WireEvent[] = []
  const frames: Uint8Array[] = []
  const errors: string[] = []
  let wake: (() => void)[] = []
  const notify = (): void => {
    const waiting = wake
    wake = []
    for (const resolve of waiting) resolve()
  }
  socket.on('message', (data: Uint8Array) => {
    const frame = decodeFrame(data)
    if (frame.op === -1) errors.push(frame.error)
    else {
      frames.push(new Uint8Array(data))
      events.push(decodeEvent(new Uint8Array(data)))
    }
    notify()
  })
  const closed = new Promise<number>((resolve) =>
    socket.once('close', (code) => {
      resolve(code)
      notify()
    }),
  )
  socket.on('error', notify)
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  const subscriber: Subscriber = {
    events,
    frames,
    repoEvents: () => events.filter((event) => event.type !== 'info'),
    errors,
    closed,
    until: async (condition, what) => {
      let [heard, deadline] = [-1, AbortSignal.abort()]
      while (!condition(subscriber)) {
        // As long as events arrive, all is well: hosts are slowed down on purpose.
        if (heard < events.length) {
          heard = events.length
          deadline = AbortSignal.timeout(PATIENCE_MS)
          deadline.addEventListener('abort', notify)
        }
        if (socket.readyState === WebSocket.CLOSED && !condition(subscriber)) {
          throw new Error(`the stream ended before ${what}; errors=${errors.join()}`)
        }
        if (deadline.aborted)
          throw new Error(`waited in vain for ${what}; heard ${events.length} events`)
        await new Promise<void>((resolve) => wake.push(resolve))
      }
    },
    [Symbol.asyncDispose]: async () => {
      socket.terminate()
      await closed
    },
  }
  return subscriber
}
