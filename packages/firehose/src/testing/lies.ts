import {
  cidForCbor,
  createTidClock,
  decodeCar,
  decodeCommit,
  encodeCbor,
  type Cid,
} from '@skywright/repo'
import type { CommitEvent } from '../event.ts'
import { MAX_COMMIT_BLOCKS_BYTES, MAX_COMMIT_OPS } from '../limits.ts'
import type { RejectReason } from '../verify/outcome.ts'
import { rebuildSlice, signCommit } from './commit-blocks.ts'
import type { SimulatedAccount, SimulatedNetwork } from './simulated-network.ts'

/** What a lie is made from. */
export interface LieContext {
  readonly network: SimulatedNetwork
  readonly account: SimulatedAccount
}

/** A way to tamper with one honest commit, and what every verifier must say to it. */
export interface Lie {
  readonly name: string
  readonly reason: RejectReason
  /** The tampered commit, or `undefined` where this commit does not lend itself to it. */
  readonly tell: (event: CommitEvent, context: LieContext) => CommitEvent | undefined
}

/** A CID that nothing has. */
function strangeCid(): Cid {
  return cidForCbor(encodeCbor({ nothing: 'has this' }))
}

/** The commit signed anew after changing what is signed. */
export function resigned(
  event: CommitEvent,
  { account }: LieContext,
  change: { readonly did?: string; readonly rev?: string; readonly data?: Cid },
): CommitEvent {
  const { did, rev, data } = commitOf(event)
  const commit = signCommit({ did, rev, data, ...change }, account.key)
  const blocks = rebuildSlice(event.blocks, event.commit, commit)
  return { ...event, commit: commit.cid, blocks }
}

function commitOf({ blocks, commit }: CommitEvent): ReturnType<typeof decodeCommit> {
  const block = decodeCar(blocks).blocks.get(commit)
  if (block === undefined) throw new Error('an honest commit holds its commit block')
  return decodeCommit(block)
}

/** The commit with a signature made of the honest one. */
function withSignature(
  event: CommitEvent,
  change: (signature: Uint8Array) => Uint8Array,
): CommitEvent {
  const { did, rev, data, prev, sig } = commitOf(event)
  const bytes = encodeCbor({ did, rev, data, prev, version: 3, sig: change(sig) })
  const commit = { cid: cidForCbor(bytes), bytes }
  return {
    ...event,
    commit: commit.cid,
    blocks: rebuildSlice(event.blocks, event.commit, commit),
  }
}

const K256_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

function highS(signature: Uint8Array, order: bigint): Uint8Array {
  const s = BigInt(`0x${hex(signature.subarray(32))}`)
  const flipped = (order - s).toString(16).padStart(64, '0')
  const bytes = Uint8Array.from(signature)
  for (let i = 0; i < 32; i++) bytes[32 + i] = Number.parseInt(flipped.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const firstWithRecord = (event: CommitEvent): CommitEvent['ops'][number] | undefined =>
  event.ops.find((op) => op.cid !== null)

/** Lies about one commit. Each is sent before the honest commit, which must still be accepted afterwards. */
export const commitLies: readonly Lie[] = [
  {
    name: 'signature with a flipped bit',
    reason: 'bad-signature',
    tell: (event) =>
      withSignature(event, (signature) => signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte))),
  },
  {
    name: 'signature by another key',
    reason: 'bad-signature',
    tell: (event, { network, account }) =>
      resigned(event, { network, account: { ...account, key: network.newKey() } }, {}),
  },
  {
    name: 'signature with high S',
    reason: 'bad-signature',
    tell: (event, { account }) =>
      withSignature(event, (signature) =>
        highS(signature, account.key.curve === 'k256' ? K256_ORDER : P256_ORDER),
      ),
  },
  {
    name: 'signature cut short',
    reason: 'bad-signature',
    tell: (event) => withSignature(event, (signature) => signature.subarray(0, 63)),
  },
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
