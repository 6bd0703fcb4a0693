import type { WebSocket } from 'ws'

/** Time between pings, in milliseconds. */
export const DEFAULT_PING_MS = 30_000

/** Pings a client, and drops it when it stays silent for two pings. @returns ends that. */
export function keepAlive(client: WebSocket, pingMs: number): () => void {
  let missed = 0
  client.on('pong', () => {
    missed = 0
  })
  const timer = setInterval(() => {
    if (++missed > 2) client.terminate()
    else if (client.readyState === client.OPEN) client.ping()
  }, pingMs)
  return () => {
    clearInterval(timer)
  }
}
