import { formatCar } from '../car/encode.ts'
import { encodeCbor } from '../encode-cbor.ts'
import { type Cid, cidFromKey, type CidKey, cidKeyForCbor } from '../cid.ts'
import { signCommit } from '../commit.ts'
import { buildTree } from '../mst/build.ts'
import type { Signer } from '../signer.ts'

/** What {@link buildRepoCar} makes a repo of. */
export interface BuildRepoInput {
  readonly did: string
  readonly signer: Signer
  /** Data-model values by repo path. */
  readonly records: Readonly<Record<string, unknown>>
  /** @defaultValue `3kaaaaaaaaa22` */
  readonly rev?: string
}

/** A repo made for a test. */
export interface BuiltRepo {
  /** Commit first, then nodes, then records. */
  readonly car: Uint8Array
  readonly cid: Cid
  readonly data: Cid
  readonly rev: string
}

/** Gives the signed CAR of a repo with these records. */
export async function buildRepoCar(input: BuildRepoInput): Promise<BuiltRepo> {
  const { did, signer, records, rev = '3kaaaaaaaaa22' } = input
  const blocks = new Map<CidKey, Uint8Array>()
  const entries = Object.entries(records)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, record]) => {
      const bytes = encodeCbor(record)
      return [path, cidKeyForCbor(bytes), bytes] as const
    })
  const data = buildTree(
    entries.map(([path, cid]) => [path, cid]),
    (cid, bytes) => blocks.set(cid, bytes),
  )
  for (const [, cid, bytes] of entries) blocks.set(cid, bytes)
  return finishRepoCar({ did, rev, data, signer }, blocks)
}

/** Signs for a tree and gives the CAR of the commit and these blocks. */
export async function finishRepoCar(
  commit: {
    readonly did: string
    readonly rev: string
    readonly data: CidKey
    readonly signer: Signer
  },
  blocks: ReadonlyMap<CidKey, Uint8Array>,
): Promise<BuiltRepo> {
  const { did, rev, data, signer } = commit
  const bytes = await signCommit({ did, rev, data }, signer)
  const cid = cidKeyForCbor(bytes)
  return {
    car: formatCar([cid], [[cid, bytes], ...blocks]),
    cid: cidFromKey(cid),
    data: cidFromKey(data),
    rev,
  }
}
