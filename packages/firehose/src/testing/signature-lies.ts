import { cidForCbor, encodeCbor } from '@skywright/repo'
import type { CommitEvent } from '../event.ts'
import { rebuildSlice } from './commit-blocks.ts'
import { commitOf, resigned, type Lie } from './lie.ts'

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

/** Commits that their account did not sign, or not so. */
export const signatureLies: readonly Lie[] = [
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
]
