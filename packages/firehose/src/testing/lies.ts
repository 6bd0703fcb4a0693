import { cidForCbor, createTidClock, encodeCbor, type Cid } from '@skywright/repo'
import type { CommitEvent } from '../event.ts'
import { MAX_COMMIT_BLOCKS_BYTES, MAX_COMMIT_OPS } from '../limits.ts'
import { rebuildSlice } from './commit-blocks.ts'
import { commitOf, resigned, type Lie } from './lie.ts'
import { signatureLies } from './signature-lies.ts'

/** A CID that nothing has. */
function strangeCid(): Cid {
  return cidForCbor(encodeCbor({ nothing: 'has this' }))
}

const firstWithRecord = (event: CommitEvent): CommitEvent['ops'][number] | undefined =>
  event.ops.find((op) => op.cid !== null)

/** Lies about one commit. Each is sent before the honest commit, which must still be accepted afterwards. */
export const commitLies: readonly Lie[] = [
  ...signatureLies,
  {
    name: 'operation that did not happen',
    reason: 'op-mismatch',
    tell: (event) => {
      // Right beside a true one: elsewhere the slice may not show that there is nothing.
      const path = `${event.ops[0]?.path ?? ''}x`
      return {
        ...event,
        ops: [...event.ops, { action: 'create', path, cid: strangeCid() }],
      }
    },
  },
  {
    name: 'operation left out',
    reason: 'inversion-mismatch',
    tell: (event) => (event.ops.length < 2 ? undefined : { ...event, ops: event.ops.slice(1) }),
  },
  {
    name: 'all operations left out',
    reason: 'inversion-mismatch',
    tell: (event) => ({ ...event, ops: [] }),
  },
  {
    name: 'operation with the CID of another record',
    reason: 'op-mismatch',
    tell: (event) => {
      const forged = firstWithRecord(event)
      if (forged === undefined) return undefined
      const ops = event.ops.map((op) => (op === forged ? { ...op, cid: strangeCid() } : op))
      return { ...event, ops }
    },
  },
  {
    name: 'delete that names another former record',
    reason: 'inversion-mismatch',
    tell: (event) => {
      const forged = event.ops.find((op) => op.action !== 'create')
      if (forged === undefined) return undefined
      const ops = event.ops.map((op) => (op === forged ? { ...op, prev: strangeCid() } : op))
      return { ...event, ops }
    },
  },
  {
    name: 'record block missing',
    reason: 'missing-record',
    tell: (event) => {
      const cid = firstWithRecord(event)?.cid
      if (cid === undefined || cid === null) return undefined
      const used = event.ops.filter((op) => op.cid?.equals(cid) === true).length
      if (used !== 1) return undefined
      return { ...event, blocks: rebuildSlice(event.blocks, event.commit, undefined, [cid]) }
    },
  },
  {
    name: 'tree root missing',
    reason: 'missing-proof',
    tell: (event) => {
      const { data } = commitOf(event)
      return { ...event, blocks: rebuildSlice(event.blocks, event.commit, undefined, [data]) }
    },
  },
  {
    name: 'block that does not hash to its CID',
    reason: 'invalid-car',
    tell: (event) => {
      const blocks = Uint8Array.from(event.blocks)
      const last = blocks.length - 1
      blocks[last] = (blocks[last] ?? 0) ^ 1
      return { ...event, blocks }
    },
  },
  {
    name: 'slice cut short',
    reason: 'invalid-car',
    tell: (event) => ({ ...event, blocks: event.blocks.subarray(0, event.blocks.length - 7) }),
  },
  {
    name: 'no slice',
    reason: 'invalid-car',
    tell: (event) => ({ ...event, blocks: new Uint8Array() }),
  },
  {
    name: 'envelope with another commit CID',
    reason: 'commit-mismatch',
    tell: (event) => ({ ...event, commit: strangeCid() }),
  },
  {
    name: 'envelope with another rev',
    reason: 'commit-mismatch',
    tell: (event, { network }) => ({ ...event, rev: network.clock.next(event.rev) }),
  },
  {
    name: 'commit object of another account',
    reason: 'commit-mismatch',
    tell: (event, context) => resigned(event, context, { did: 'did:plc:zzzzzzzzzzzzzzzzzzzzzzzz' }),
  },
  {
    name: 'rev far in the future',
    reason: 'future-rev',
    tell: (event, context) => {
      const later = createTidClock({ now: () => context.network.now() + 86_400_000, clockId: 0 })
      const rev = later.next()
      return { ...resigned(event, context, { rev }), rev }
    },
  },
  {
    name: 'rev that is none',
    reason: 'invalid-rev',
    tell: (event) => ({ ...event, rev: 'not-a-rev' }),
  },
  {
    name: 'since behind rev',
    reason: 'invalid-rev',
    tell: (event, { network }) => ({ ...event, since: network.clock.next(event.rev) }),
  },
  {
    name: 'other tree before',
    reason: 'inversion-mismatch',
    tell: (event) => ({ ...event, prevData: strangeCid() }),
  },
  {
    name: 'tree before left out',
    reason: 'missing-prev-data',
    tell: (event) => {
      const { prevData, ...without } = event
      return prevData === undefined || event.since === null ? undefined : without
    },
  },
  {
    name: 'the same path twice',
    reason: 'duplicate-path',
    tell: (event) => ({ ...event, ops: [...event.ops, ...event.ops.slice(0, 1)] }),
  },
  {
    name: 'create that names a former record',
    reason: 'invalid-op',
    tell: (event) => ({
      ...event,
      ops: event.ops.map((op) => ({ ...op, action: 'create' as const, prev: strangeCid() })),
    }),
  },
  {
    name: 'delete without its former record',
    reason: 'invalid-op',
    tell: (event) => ({
      ...event,
      ops: [...event.ops, { action: 'delete', path: 'app.bsky.feed.post/x', cid: null }],
    }),
  },
  {
    name: 'too many operations',
    reason: 'too-many-ops',
    tell: (event) => ({
      ...event,
      ops: Array.from({ length: MAX_COMMIT_OPS + 1 }, (_, i) => ({
        action: 'create' as const,
        path: `app.bsky.feed.post/${String(i)}`,
        cid: strangeCid(),
      })),
    }),
  },
  {
    name: 'slice too large',
    reason: 'too-large',
    tell: (event) => ({ ...event, blocks: new Uint8Array(MAX_COMMIT_BLOCKS_BYTES + 1) }),
  },
  {
    name: 'repeat of the state before',
    reason: 'stale-rev',
    tell: (event) =>
      event.since === null ? undefined : { ...event, rev: event.since, since: null },
  },
]
