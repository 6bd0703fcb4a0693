import { cidForCbor, decodeCar, encodeCar, encodeCbor, type Block, type Cid } from '@skywright/repo'

/** Signs, as far as this kit needs it. */
interface CommitSigner {
  sign(bytes: Uint8Array): Uint8Array
}

/** A commit object of any content, signed. */
export function signCommit(
  fields: { readonly did: string; readonly data: Cid; readonly rev: string },
  signer: CommitSigner,
): Block {
  const unsigned = { ...fields, version: 3, prev: null }
  const bytes = encodeCbor({ ...unsigned, sig: signer.sign(encodeCbor(unsigned)) })
  return { cid: cidForCbor(bytes), bytes }
}

/** The CAR of a `#sync`. */
export function commitCar(cid: Cid, bytes: Uint8Array): Uint8Array {
  return encodeCar([cid], [{ cid, bytes }])
}

/** The same slice with another commit block in place of its own, and without the blocks named. */
export function rebuildSlice(
  blocks: Uint8Array,
  before: Cid,
  commit: Block | undefined,
  without: readonly Cid[] = [],
): Uint8Array {
  const dropped = new Set(without.map((cid) => cid.toString()))
  const kept: Block[] = []
  for (const block of decodeCar(blocks).blocks) {
    if (commit !== undefined && block.cid.equals(before)) kept.push(commit)
    else if (!dropped.has(block.cid.toString())) kept.push(block)
  }
  return encodeCar([commit?.cid ?? before], kept)
}
