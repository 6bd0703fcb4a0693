import { cidFromKey, type CidKey, formatCidKey } from './cid.ts'
import { MissingBlockError } from './errors.ts'
import { emptyTree, type MstNode, NodeLoader } from './mst/node.ts'
import { visitCoveringProof } from './mst/proof.ts'
import type { RepoStore } from './repo-store.ts'

/**
 * The tree of a stored repo, as far as it was needed: nodes come in when a computation misses them, and stay.
 *
 * The computations are synchronous and know nothing of the store: one that misses a node is repeated once it is there.
 */
export class StoredTree {
  root: MstNode
  readonly loader: NodeLoader
  /** Nodes that came in, a measure of the memory held. */
  loaded = 0
  private readonly store: RepoStore
  private readonly did: string
  private readonly fetched = new Map<CidKey, Uint8Array>()
  private readonly missing = new Set<CidKey>()

  private constructor(store: RepoStore, did: string, root: MstNode) {
    this.store = store
    this.did = did
    this.root = root
    this.loader = new NodeLoader(
      (cid) => {
        const bytes = this.fetched.get(cid)
        if (bytes === undefined) this.missing.add(cid)
        // A node is decoded once and then lives in the tree.
        else this.fetched.delete(cid)
        return bytes
      },
      { check: 'order' },
    )
  }

  /** Opens the tree with this root. @throws {MissingBlockError} when the store lacks it. */
  static async open(store: RepoStore, did: string, data: CidKey): Promise<StoredTree> {
    const tree = new StoredTree(store, did, emptyTree())
    tree.root = await tree.run(() => tree.loader.loadRoot(data))
    return tree
  }

  /** Wraps a tree that is wholly in memory. */
  static of(store: RepoStore, did: string, root: MstNode): StoredTree {
    return new StoredTree(store, did, root)
  }

  /** Runs a computation, fetching the nodes it misses until it needs no more. */
  async run<T>(compute: () => T): Promise<T> {
    for (;;) {
      try {
        return compute()
      } catch (error) {
        if (!(error instanceof MissingBlockError) || this.missing.size === 0) throw error
        await this.fetch()
      }
    }
  }

  /** Fetches what writes on these keys will need, all keys level by level, instead of node by node. */
  async prefetch(keys: readonly string[]): Promise<void> {
    for (;;) {
      for (const key of keys) this.noteMissing(key)
      if (this.missing.size === 0) return
      await this.fetch()
    }
  }

  private noteMissing(key: string): void {
    try {
      visitCoveringProof(this.loader, this.root, key, () => {})
    } catch (error) {
      if (!(error instanceof MissingBlockError)) throw error
    }
  }

  private async fetch(): Promise<void> {
    const keys = [...this.missing]
    this.missing.clear()
    const nodes = await this.store.getNodes(
      this.did,
      keys.map((key) => cidFromKey(key)),
    )
    for (const [index, key] of keys.entries()) {
      const node = nodes[index]
      if (node === undefined) throw new MissingBlockError(formatCidKey(key))
      this.fetched.set(key, node.bytes)
      this.loaded++
    }
  }
}
