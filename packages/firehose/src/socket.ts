/** How a stream connection is to be opened. */
export interface OpenStreamOptions {
  /** Ends the connection; the iterator rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** Messages larger than this end the connection. */
  readonly maxFrameBytes: number
  /** Bytes of received, not yet consumed messages above which the socket is paused. */
  readonly highWaterBytes: number
  /** Take text messages too, as their UTF-8 bytes: for streams of JSON. @defaultValue false */
  readonly text?: boolean
  /** Told once the connection is open, which may be long before the first message. */
  readonly onOpen?: () => void
  /** Given what sends a text message, once the connection is open: for services that want to be answered. */
  readonly onSender?: (send: (text: string) => void) => void
  /** Sent with the request that opens the connection. The platform's `WebSocket` cannot: it throws a {@link TypeError}. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Opens one WebSocket and yields its binary messages in order.
 *
 * The iterator ends or rejects with {@link DisconnectedError} when the connection does. Leaving the loop closes the
 * socket. Nothing received is dropped: while nobody consumes, the socket is paused.
 */
export type OpenStream = (url: string, options: OpenStreamOptions) => AsyncIterable<Uint8Array>
