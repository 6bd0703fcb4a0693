import { generatePrivateKey, type PrivateKey } from '@skywright/identity/keys'
import { createMemoryRepoStore, Repo, type RepoStore, type RepoWrite } from '@skywright/repo'
import { samplePaths } from './fixtures.ts'

export const SAMPLE_DID = 'did:plc:bench2222222222222222222'

/** Operations in one commit, the protocol's bound. */
const BATCH = 200

export interface SampleRepo {
  readonly store: RepoStore
  readonly key: PrivateKey
  /** The whole repo as a CAR. */
  readonly car: Uint8Array
}

/** A signed repo of `count` small records over four collections, written by ours and read by everybody. */
export async function buildSampleRepo(count: number): Promise<SampleRepo> {
  const key = generatePrivateKey('k256')
  const store = createMemoryRepoStore()
  const { repo } = await Repo.create(store, { did: SAMPLE_DID, signer: key })
  const paths = samplePaths(count)
  for (let at = 0; at < count; at += BATCH) {
    await repo.applyWrites(
      paths.slice(at, at + BATCH).map((path, index) => createWrite(path, at + index)),
    )
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of repo.export()) chunks.push(chunk)
  return { store, key, car: Buffer.concat(chunks) }
}

export function createWrite(path: string, index: number): RepoWrite {
  const [collection = '', rkey = ''] = path.split('/')
  return { action: 'create', collection, rkey, record: sampleRecord(collection, index) }
}

export function sampleRecord(collection: string, index: number): Record<string, unknown> {
  return {
    $type: collection,
    text: `record ${index}`,
    subject: `at://did:plc:bench${index % 97}/app.bsky.feed.post/3kbench${index}`,
    createdAt: '2026-01-01T00:00:00.000Z',
  }
}
