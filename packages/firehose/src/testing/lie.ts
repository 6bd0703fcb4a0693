import { decodeCar, decodeCommit, type Cid } from '@skywright/repo'
import type { CommitEvent } from '../event.ts'
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

/** The commit object of an honest commit. */
export function commitOf({ blocks, commit }: CommitEvent): ReturnType<typeof decodeCommit> {
  const block = decodeCar(blocks).blocks.get(commit)
  if (block === undefined) throw new Error('an honest commit holds its commit block')
  return decodeCommit(block)
}
