import { cidForCbor, encodeCbor, MissingBlockError, ProofIncompleteError } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import type { CommitEvent } from '../src/event.ts'
import { rejectReason } from '../src/verify/reasons.ts'

const record = cidForCbor(encodeCbor({ record: true }))
const event: CommitEvent = {
  type: 'commit',
  seq: 1,
  did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  commit: cidForCbor(encodeCbor({})),
  rev: '3lyqw6emh2s2h',
  since: null,
  ops: [{ action: 'create', path: 'com.example.note/a', cid: record }],
  blocks: new Uint8Array(),
  time: '2026-11-01T00:00:00.000Z',
}

describe('rejectReason', () => {
  it.each<[string, unknown]>([
    ['invalid-car', { code: 'InvalidCar' }],
    ['invalid-car', { code: 'InvalidCid' }],
    ['too-large', { code: 'LimitExceeded' }],
    ['invalid-commit', { code: 'InvalidCbor' }],
    ['invalid-commit', { code: 'InvalidCommit' }],
    ['invalid-op', { code: 'InvalidSyntax' }],
    ['bad-signature', { code: 'InvalidSignature' }],
    ['inversion-mismatch', { code: 'CommitMismatch', field: 'prevData' }],
    ['inversion-mismatch', { code: 'CommitMismatch', field: 'data' }],
    ['commit-mismatch', { code: 'CommitMismatch', field: 'rev' }],
    ['invalid-mst', { code: 'InvalidMst' }],
    ['op-mismatch', { code: 'InvalidOps' }],
    ['missing-proof', { code: 'InvalidProof' }],
    ['missing-proof', new ProofIncompleteError(event.commit.toString())],
    ['missing-record', new ProofIncompleteError(record.toString())],
    ['missing-record', new MissingBlockError(record.toString())],
    ['internal', { code: 'SomethingNew' }],
    ['internal', new TypeError('a bug')],
    ['internal', undefined],
    ['internal', 'text'],
  ])('is %s for %o', (reason, error) => {
    expect(rejectReason(error, event)).toBe(reason)
  })
})
