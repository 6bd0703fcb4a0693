// Runs in a worker thread: proves frames it is sent.
import { parentPort } from 'node:worker_threads'
import { parsePublicKey, type PublicKey } from '@skywright/identity/keys'
import { decodeEvent } from '../codec.ts'
import { proveEvent } from '../verify/prove.ts'
import type { ProveRequest, ProveResponse, ProveResult } from './messages.ts'

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

function prove(frame: Uint8Array, didKey: string): ProveResult {
  try {
    const event = decodeEvent(frame)
    if (event.type !== 'commit' && event.type !== 'sync') throw new TypeError('nothing to prove')
    const { commit, data, records } = proveEvent(event, keyOf(didKey))
    return {
      ok: true,
      commit: commit.bytes,
      data: data.bytes,
      records: [...records].map(([path, bytes]) => [
        path,
        bytes.byteOffset - frame.byteOffset,
        bytes.length,
      ]),
    }
  } catch (error) {
    return failure(error)
  }
}

function failure(error: unknown): ProveResult {
  const message = error instanceof Error ? error.message : 'proof failed'
  const text = (name: 'code' | 'field' | 'cid'): string | undefined => {
    if (error === null || typeof error !== 'object' || !(name in error)) return undefined
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' ? value : undefined
  }
  const field = text('field')
  const cid = text('cid')
  return {
    ok: false,
    code: text('code') ?? 'Internal',
    message,
    ...(field === undefined ? {} : { field }),
    ...(cid === undefined ? {} : { cid }),
  }
}

parentPort?.on('message', ({ id, bytes, lengths, keys: didKeys }: ProveRequest) => {
  const results: ProveResult[] = []
  let at = 0
  for (const [index, length] of lengths.entries()) {
    results.push(prove(bytes.subarray(at, at + length), didKeys[index] ?? ''))
    at += length
  }
  const response: ProveResponse = { id, results }
  parentPort?.postMessage(response)
})
