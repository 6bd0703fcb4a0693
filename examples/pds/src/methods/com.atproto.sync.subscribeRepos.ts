import { serveEvents, type EventLog } from '@skywright/firehose'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'

/** The firehose: everything this server publishes, from a cursor or from now on. */
export function subscribeRepos(options: {
  readonly log: EventLog
  /** Told when a subscriber comes (1) and goes (-1). */
  readonly onSubscribers: (change: 1 | -1) => void
}): XrpcMethod {
  const { log, onSubscribers } = options
  return defineMethod(atproto, 'com.atproto.sync.subscribeRepos', {
    handler: ({ params: { cursor }, signal }) =>
      counted(serveEvents(log, { cursor, signal }), onSubscribers),
  })
}

async function* counted(
  frames: AsyncGenerator<Uint8Array, void, void>,
  onSubscribers: (change: 1 | -1) => void,
): AsyncGenerator<Uint8Array, void, void> {
  onSubscribers(1)
  try {
    yield* frames
  } finally {
    onSubscribers(-1)
  }
}
