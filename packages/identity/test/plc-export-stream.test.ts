import { describe, expect, it } from 'vitest'
import { generatePrivateKey } from '../src/keys/index.ts'
import {
  PlcRequestFailedError,
  createPlcIdentity,
  plcOperationCid,
  readPlcExportStream,
} from '../src/plc/index.ts'
import type { PlcExportEntry } from '../src/plc/index.ts'

/** A WebSocket that says what the test tells it to. */
class ScriptedSocket extends EventTarget {
  static last: ScriptedSocket | undefined
  readonly url: string
  closed = false
  constructor(url: string | URL) {
    super()
    this.url = String(url)
    ScriptedSocket.last = this
  }
  say(data: unknown) {
    this.dispatchEvent(
      new MessageEvent('message', { data: typeof data === 'string' ? data : JSON.stringify(data) }),
    )
  }
  hangUp(code: number, reason = '') {
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }))
  }
  close() {
    this.closed = true
  }
}
const WebSocket = ScriptedSocket as unknown as typeof globalThis.WebSocket

async function line(seq: number) {
  const signer = generatePrivateKey('k256')
  const { did, operation } = await createPlcIdentity({
    signingKey: signer.didKey,
    handle: 'a.example.com',
    pds: 'https://pds.example.com',
    rotationKeys: [signer.didKey],
    signer,
  })
  return {
    type: 'sequenced_op',
    seq,
    did,
    operation,
    cid: plcOperationCid(operation),
    createdAt: '2026-01-01T00:00:00.000Z',
  }
}

function open(options: { cursor?: number; signal?: AbortSignal } = {}) {
  const stream = readPlcExportStream({ url: 'https://plc.example.com', WebSocket, ...options })
  const first = stream.next()
  const socket = ScriptedSocket.last!
  return { stream, first, socket }
}

describe('readPlcExportStream', () => {
  it('gives entries in order and ends when the directory closes in good order', async () => {
    const { stream, first, socket } = open({ cursor: 7 })
    expect(socket.url).toBe('wss://plc.example.com/export/stream?cursor=7')
    const lines = [await line(8), await line(9), await line(10)]
    for (const each of lines) socket.say(each)
    socket.hangUp(1000)
    const got: PlcExportEntry[] = [(await first).value!]
    for await (const entry of stream) got.push(entry)
    expect(got).toEqual(lines)
    expect(socket.closed).toBe(true)
  })

  it.each(['FutureCursor', 'OutdatedCursor', 'ConsumerTooSlow'])('tells %s', async (reason) => {
    const { first, socket } = open()
    socket.hangUp(1000, reason)
    const error: unknown = await first.catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(PlcRequestFailedError)
    expect(error).toMatchObject({ reason, retryable: false })
  })

  it('fails on a broken connection and on messages that are no entries', async () => {
    const broken = open()
    broken.socket.hangUp(1006)
    await expect(broken.first).rejects.toMatchObject({ retryable: true })
    for (const bad of ['not json', '[]', '{"did":1}', 'x'.repeat(70_000)]) {
      const { first, socket } = open()
      socket.say(bad)
      await expect(first, bad.slice(0, 10)).rejects.toThrow(Error)
      expect(socket.closed).toBe(true)
    }
  })

  it('stops on abort and on break', async () => {
    const abort = new AbortController()
    const { first, socket } = open({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    expect(socket.closed).toBe(true)
    const second = open()
    second.socket.say(await line(1))
    await second.first
    await second.stream.return()
    expect(second.socket.closed).toBe(true)
  })
})
