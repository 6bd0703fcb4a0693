import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { LogEntry } from '../../src/event-log/port.ts'
import { jetstreamEvents } from '../../src/jetstream/index.ts'

/** A message of Tap, and the account whose order it keeps. */
export interface TapText {
  readonly id: number
  readonly did: string
  /** A live message goes out alone; nothing of its account before it is acknowledged. */
  readonly live: boolean
  readonly text: string
}

/** What Tap would send of the entries of a log: a message for each operation, and one for each change of an account. */
export function tapMessages(entries: readonly LogEntry[]): TapText[] {
  const messages: TapText[] = []
  const accounts = new Map<string, object>()
  for (const entry of entries) {
    for (const { did, body } of jetstreamEvents(entry)) {
      const id = messages.length + 1
      const { commit, identity, account } = body
      if (commit !== undefined) {
        const { operation, ...rest } = commit
        const live = id % 3 !== 0
        const record = { live, did, action: operation, ...rest }
        messages.push({ id, did, live, text: JSON.stringify({ id, type: 'record', record }) })
        continue
      }
      const before = accounts.get(did) ?? {
        handle: 'someone.test',
        is_active: true,
        status: 'active',
      }
      const changed =
        account === undefined
          ? { ...before, ...(identity?.['handle'] === undefined ? {} : identity) }
          : { ...before, is_active: account['active'], status: account['status'] ?? 'active' }
      accounts.set(did, changed)
      const text = JSON.stringify({ id, type: 'identity', identity: { did, ...changed } })
      messages.push({ id, did, live: true, text })
    }
  }
  return messages
}

/** A Tap in the mode with acknowledgements: what was not acknowledged is sent again, to whoever is connected then. */
export class TapServer implements AsyncDisposable {
  /** Numbers acknowledged, in order. */
  readonly acknowledged: number[] = []
  readonly authorizations: (string | undefined)[] = []
  private readonly outbox: TapText[]
  private readonly inFlight = new Map<string, Set<number>>()
  private readonly done = new Set<number>()
  private readonly server = createServer()
  private readonly sockets = new WebSocketServer({ noServer: true })
  private readonly waiting: { readonly count: number; readonly resolve: () => void }[] = []

  private constructor(messages: readonly TapText[]) {
    this.outbox = [...messages]
    this.server.on('upgrade', (request, socket, head) => {
      this.authorizations.push(request.headers.authorization)
      if (request.url !== '/channel') {
        socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
        return
      }
      this.sockets.handleUpgrade(request, socket, head, (client) => {
        this.take(client)
      })
    })
  }

  static async start(messages: readonly TapText[]): Promise<TapServer> {
    const tap = new TapServer(messages)
    tap.server.listen(0, '127.0.0.1')
    await once(tap.server, 'listening')
    return tap
  }

  /** Resolves when this many acknowledgements came. */
  async acknowledgements(count: number): Promise<void> {
    if (this.acknowledged.length >= count) return
    await new Promise<void>((resolve) => this.waiting.push({ count, resolve }))
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`
  }

  /** Sends again what is sent and not acknowledged, as Tap does when its patience ends. */
  repeat(): void {
    const [client] = this.sockets.clients
    for (const message of this.outbox) {
      if (this.inFlight.get(message.did)?.has(message.id) === true) client?.send(message.text)
    }
  }

  /** Cuts every connection. */
  cut(): void {
    for (const client of this.sockets.clients) client.terminate()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }

  private take(client: WebSocket): void {
    this.inFlight.clear()
    client.on('message', (data: Buffer) => {
      const answer = JSON.parse(data.toString()) as { type: string; id: number }
      if (answer.type !== 'ack') throw new Error(`not an ack: ${data.toString()}`)
      this.acknowledged.push(answer.id)
      this.done.add(answer.id)
      for (const ids of this.inFlight.values()) ids.delete(answer.id)
      for (const { count, resolve } of this.waiting)
        if (this.acknowledged.length >= count) resolve()
      this.fill(client)
    })
    this.fill(client)
  }

  /** Sends what may be sent now. */
  private fill(client: WebSocket): void {
    const blocked = new Set<string>()
    for (const { id, did, live, text } of this.outbox) {
      if (this.done.has(id) || blocked.has(did)) continue
      const sent = this.inFlight.get(did) ?? new Set()
      this.inFlight.set(did, sent)
      if (sent.has(id)) {
        if (live) blocked.add(did)
        continue
      }
      if (live && sent.size > 0) {
        blocked.add(did)
        continue
      }
      sent.add(id)
      if (client.readyState === client.OPEN) client.send(text)
      if (live) blocked.add(did)
    }
  }
}
