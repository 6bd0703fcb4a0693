import { parseCid, readCar, type Repo, type RepoStore } from '@skywright/repo'

const PAGE = 1_000

/** Blocks of a repo: its commit, tree nodes and records. Reads them all. */
export async function countBlocks(repo: Repo): Promise<number> {
  const { blocks } = await readCar(repo.export())
  let count = 0
  for await (const { bytes } of blocks) count += bytes.length > 0 ? 1 : 0
  return count
}

/** Whether a record of the repo references the blob. */
export async function isBlobReferenced(
  store: RepoStore,
  did: string,
  cid: string,
): Promise<boolean> {
  return (await store.blobReferences(did, parseCid(cid))).length > 0
}

/** Different blobs that records of a repo reference. */
export async function countBlobs(store: RepoStore, did: string): Promise<number> {
  let count = 0
  let cursor: string | undefined
  do {
    const page = await store.listBlobs(did, {
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    })
    count += page.length
    cursor = page.length < PAGE ? undefined : page.at(-1)
  } while (cursor !== undefined)
  return count
}
