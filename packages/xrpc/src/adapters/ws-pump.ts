import type { WebSocket } from 'ws'
import type { FrameData } from '../subprotocol.ts'
import type { StreamEnd, Subscription } from '../subscription.ts'

const CLOSE_POLICY = 1008
const CLOSE_GOING_AWAY = 1001

/** When a connection counts as too slow. */
export interface PumpLimits {
  readonly maxBufferedBytes: number
  readonly slowConsumerTimeoutMs: number
}

type Step = IteratorResult<FrameData, StreamEnd>

/**
 * Sends the frames of a subscription, no faster than the network takes them, and closes the connection when they end.
 * Ends when the connection closes or `stopping` aborts, whether or not the source notices. Never rejects.
 */
export async function pump(
  connection: WebSocket,
  { frames, encodeError }: Subscription,
  limits: PumpLimits,
  stopping: AbortSignal,
): Promise<void> {
  let wake: (() => void) | undefined
  /** Set only while waiting for the network: a frame that was sent must not end the wait for the next one. */
  let drained: (() => void) | undefined
  const interrupt = (): void => wake?.()
  connection.on('error', () => connection.terminate())
  connection.once('close', interrupt)
  stopping.addEventListener('abort', interrupt, { once: true })
  const over = (): boolean => stopping.aborted || connection.readyState !== connection.OPEN

  // A new promise for each frame: racing against one long-lived promise would pile up reactions on it.
  const next = async (): Promise<Step | undefined> =>
    new Promise<Step | undefined>((resolve, reject) => {
      wake = () => resolve(undefined)
      frames.next().then(resolve, reject)
    })
  const flushed = async (): Promise<void> =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limits.slowConsumerTimeoutMs)
      drained = () => {
        clearTimeout(timer)
        resolve()
      }
      wake = drained
    })
  const onSent = (): void => {
    if (connection.bufferedAmount <= limits.maxBufferedBytes / 2) drained?.()
  }

  try {
    while (!over()) {
      wake = undefined
      const step = await next()
      wake = undefined
      if (step === undefined || over()) break
      if (step.done === true) {
        connection.close(step.value.closeCode, step.value.reason)
        return
      }
      connection.send(step.value, onSent)
      if (connection.bufferedAmount <= limits.maxBufferedBytes) continue
      await flushed()
      drained = undefined
      if (!over() && connection.bufferedAmount > limits.maxBufferedBytes) {
        connection.send(encodeError('ConsumerTooSlow', 'frames are not read fast enough'))
        connection.close(CLOSE_POLICY, 'ConsumerTooSlow')
        return
      }
    }
    if (stopping.aborted) connection.close(CLOSE_GOING_AWAY)
  } catch {
    connection.terminate()
  } finally {
    connection.off('close', interrupt)
    stopping.removeEventListener('abort', interrupt)
    // Not awaited: a source that ignores its signal would keep us here.
    frames.return({ closeCode: CLOSE_GOING_AWAY, reason: '' }).catch(() => undefined)
  }
}
