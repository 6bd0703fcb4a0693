import { parseCar } from './car/decode.ts'
import { type Cid, cidKey } from './cid.ts'
import { InvalidOpsError, MissingBlockError, ProofIncompleteError } from './errors.ts'
import { MAX_COMMIT_BLOCKS_BYTES } from './limits.ts'
import { type MstNode, NodeLoader } from './mst/node.ts'

/** The records on both sides of a path that has none. */
export interface Neighbours {
  readonly path: string
  /** The last path before it; undefined when it would be the first. */
  readonly before: string | undefined
  /** The first path behind it; undefined when it would be the last. */
  readonly behind: string | undefined
}

/**
 * Finds what lies on both sides of deleted paths, in the CAR slice of the commit that deleted them. The slice of a commit
 * that {@link verifyCommit} accepted always reaches that far.
 *
 * When neither neighbour of a deleted path is in its collection, the collection is empty: that is how a reader who keeps no
 * repositories knows that an account stopped using a collection.
 *
 * @param data CID of the MST root, as verified.
 * @throws {InvalidOpsError} when a path is in the tree.
 * @throws {ProofIncompleteError} when a block on the way is absent.
 * @throws {InvalidCarError} {@link InvalidMstError} {@link LimitExceededError} when the slice was not verified and is bad.
 */
export function findNeighbours(
  blocks: Uint8Array,
  data: Cid,
  paths: readonly string[],
): readonly Neighbours[] {
  const car = parseCar(blocks, { maxBytes: MAX_COMMIT_BLOCKS_BYTES })
  const loader = new NodeLoader((cid) => car.blocks.get(cid))
  try {
    const root = loader.loadRoot(cidKey(data))
    return paths.map((path) => neighboursOf(loader, root, path))
  } catch (error) {
    if (error instanceof MissingBlockError)
      throw new ProofIncompleteError(error.cid, { cause: error })
    throw error
  }
}

/** Every step down narrows the gap; at the bottom its two ends are the neighbours. */
function neighboursOf(loader: NodeLoader, root: MstNode, path: string): Neighbours {
  let node: MstNode | null = root
  let before: string | undefined
  let behind: string | undefined
  while (node !== null) {
    const { keys }: MstNode = node
    const index = node.indexOf(path)
    if (keys[index] === path) throw new InvalidOpsError('the tree holds a record', path)
    const child: MstNode | null = loader.child(node, index, before ?? '', behind)
    if (index > 0) before = keys[index - 1]
    if (index < keys.length) behind = keys[index]
    node = child
  }
  return { path, before, behind }
}
