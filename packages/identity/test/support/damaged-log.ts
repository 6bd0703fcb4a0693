import { generatePrivateKey } from '../../src/keys/index.ts'
import {
  InvalidPlcLogError,
  createPlcIdentity,
  createPlcTombstone,
  plcOperationCid,
  updatePlcOperation,
  verifyAuditLog,
} from '../../src/plc/index.ts'
import type { AnyPlcOperation, PlcLogEntry } from '../../src/plc/index.ts'

const START_MS = 1_767_225_600_000

/** A genesis, two updates, a recovery that undoes one of them, and a tombstone. */
export async function forkedLog(): Promise<{
  readonly did: string
  readonly log: readonly PlcLogEntry[]
}> {
  const strong = generatePrivateKey('k256')
  const weak = generatePrivateKey('p256')
  const { did, operation } = await createPlcIdentity({
    signingKey: weak.didKey,
    handle: 'a.example.com',
    pds: 'https://pds.example.com',
    rotationKeys: [strong.didKey, weak.didKey],
    signer: weak,
  })
  const second = await updatePlcOperation(operation, { handle: 'b.example.com' }, weak)
  const stolen = await updatePlcOperation(second, { handle: 'c.example.com' }, weak)
  const recovered = await updatePlcOperation(second, { handle: 'd.example.com' }, strong)
  const tombstone = await createPlcTombstone(recovered, strong)
  const operations: AnyPlcOperation[] = [operation, second, stolen, recovered, tombstone]
  const log = operations.map((each, index) => ({
    did,
    operation: each,
    cid: plcOperationCid(each),
    nullified: each === stolen,
    createdAt: new Date(START_MS + index * 1000).toISOString(),
  }))
  return { did, log }
}

/**
 * Flips a bit of every `stride`th byte of a log's JSON and verifies the outcome. What is accepted must prove the same
 * as the log does; only its times, which nobody signs, may differ. Throws otherwise.
 */
export function damageEveryByte(
  did: string,
  log: readonly PlcLogEntry[],
  stride: number,
): { readonly tried: number; readonly refused: number; readonly retimed: number } {
  const text = JSON.stringify(log)
  const truth = proven(did, log)
  const counts = { tried: 0, refused: 0, retimed: 0 }
  for (let at = 0; at < text.length; at += stride) {
    const flipped = String.fromCharCode(text.charCodeAt(at) ^ (1 << (at % 7)))
    let damaged: PlcLogEntry[]
    try {
      damaged = JSON.parse(text.slice(0, at) + flipped + text.slice(at + 1)) as PlcLogEntry[]
    } catch {
      continue
    }
    counts.tried++
    try {
      const same = proven(did, damaged) === truth
      const retimed = damaged.some(({ createdAt }, index) => createdAt !== log[index]?.createdAt)
      if (!same || !retimed)
        throw new Error(`accepted with byte ${at} changed: ${text.slice(at - 20, at + 20)}`)
      counts.retimed++
    } catch (error) {
      if (!(error instanceof InvalidPlcLogError)) throw error
      counts.refused++
    }
  }
  return counts
}

function proven(did: string, log: unknown): string {
  const { data, entries } = verifyAuditLog(did, log)
  return JSON.stringify([data, entries.map(({ cid, nullified }) => [cid, nullified])])
}
