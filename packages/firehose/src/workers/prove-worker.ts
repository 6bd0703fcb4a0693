// Runs in a worker thread: proves frames it is sent.
import { parentPort } from 'node:worker_threads'
import { parsePublicKey, type PublicKey } from '@skywright/identity/keys'
import { decodeEvent } from '../codec.ts'
import { proveEvent } from '../verify/prove.ts'
import { CID_BYTES, type ProveFailure, type ProveRequest, type ProveResponse } from './messages.ts'

/** Parsed keys kept. */
const MAX_KEYS = 100_000
const keys = new Map<string, PublicKey>()

function keyOf(didKey: string): PublicKey {
  const known = keys.get(didKey)
  if (known !== undefined) return known
  const key = parsePublicKey(didKey)
  if (keys.size >= MAX_KEYS) keys.clear()
  keys.set(didKey, key)
  return key
}

/** Proves a frame and writes what was found behind what is there. */
function prove(frame: Uint8Array, didKey: string, cids: Uint8Array, records: number[]): void {
  const event = decodeEvent(frame)
  if (event.type !== 'commit' && event.type !== 'sync') throw new TypeError('nothing to prove')
  const proven = proveEvent(event, keyOf(didKey))
  if (event.type === 'commit') {
    for (const { path, cid } of event.ops) {
      if (cid === null) continue
      const record = proven.records.get(path)
      if (record === undefined) throw new TypeError('a proven operation has its record')
      records.push(record.byteOffset - frame.byteOffset, record.length)
    }
  }
  cids.set(proven.commit.bytes, 0)
  cids.set(proven.data.bytes, CID_BYTES)
}

function failure(error: unknown): ProveFailure {
  const message = error instanceof Error ? error.message : 'proof failed'
  const text = (name: 'code' | 'field' | 'cid'): string | undefined => {
    if (error === null || typeof error !== 'object' || !(name in error)) return undefined
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' ? value : undefined
  }
  const field = text('field')
  const cid = text('cid')
  return {
    code: text('code') ?? 'Internal',
    message,
    ...(field === undefined ? {} : { field }),
    ...(cid === undefined ? {} : { cid }),
  }
}

parentPort?.on('message', ({ id, bytes, lengths, keys: didKeys }: ProveRequest) => {
  const cids = new Uint8Array(lengths.length * 2 * CID_BYTES)
  const places: number[] = []
  const failures: [number, ProveFailure][] = []
  let at = 0
  for (const [index, length] of lengths.entries()) {
    const before = places.length
    try {
      const own = cids.subarray(index * 2 * CID_BYTES)
      prove(bytes.subarray(at, at + length), didKeys[index] ?? '', own, places)
    } catch (error) {
      places.length = before
      failures.push([index, failure(error)])
    }
    at += length
  }
  const records = Uint32Array.from(places)
  const response: ProveResponse = { id, cids, records, failures }
  parentPort?.postMessage(response, [cids.buffer, records.buffer])
})
