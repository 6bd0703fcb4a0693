import type { WebSocket } from 'ws'

/** Time a client has to answer that it was closed, in milliseconds. */
export const DEFAULT_CLOSE_MS = 5_000

/** Closes a client, and drops it when it does not answer: a server that ends would wait for it. */
export function closeClient(
  client: WebSocket,
  code: number,
  { reason, closeMs }: { readonly reason?: string; readonly closeMs: number },
): void {
  if (client.readyState === client.CLOSED) return
  client.close(code, reason)
  const timer = setTimeout(() => client.terminate(), closeMs)
  client.once('close', () => clearTimeout(timer))
}
