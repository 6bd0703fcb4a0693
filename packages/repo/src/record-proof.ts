import { formatCar } from './car/encode.ts'
import { cidKey, type CidKey, formatCidKey } from './cid.ts'
import { MissingBlockError, RepoNotFoundError } from './errors.ts'
import { visitPath } from './mst/proof.ts'
import { formatPath } from './path.ts'
import type { RepoStore } from './repo-store.ts'
import { StoredTree } from './stored-tree.ts'

/** How often a proof is begun anew because a commit moved the tree under it. */
const MAX_ATTEMPTS = 8

/** Gives a CAR that proves the presence (with the record) or the absence of one record. */
export async function buildRecordProof(
  store: RepoStore,
  did: string,
  collection: string,
  rkey: string,
): Promise<Uint8Array> {
  const path = formatPath(collection, rkey)
  for (let attempts = 1; ; attempts++) {
    try {
      return await tryProof(store, did, collection, rkey, path)
    } catch (error) {
      if (!(error instanceof MissingBlockError) || attempts >= MAX_ATTEMPTS) throw error
    }
  }
}

async function tryProof(
  store: RepoStore,
  did: string,
  collection: string,
  rkey: string,
  path: string,
): Promise<Uint8Array> {
  const head = await store.getHead(did)
  if (head === undefined) throw new RepoNotFoundError(did)
  const tree = await StoredTree.open(store, did, cidKey(head.data))
  const commit = cidKey(head.commit)
  const blocks = new Map<CidKey, Uint8Array>([[commit, head.bytes]])
  let value: CidKey | undefined
  await tree.run(() => {
    visitPath(tree.loader, tree.root, path, (node) => {
      if (node.cid !== null && node.bytes !== null) blocks.set(node.cid, node.bytes)
      const index = node.indexOf(path)
      if (node.keys[index] === path) value = node.values[index]
    })
  })
  if (value !== undefined) {
    const record = await store.getRecord(did, collection, rkey)
    if (record === undefined || cidKey(record.cid) !== value)
      throw new MissingBlockError(formatCidKey(value))
    blocks.set(value, record.bytes)
  }
  return formatCar([commit], [...blocks])
}
