import {
  equalCids,
  InvalidSwapError,
  RecordNotFoundError,
  RepoError,
  type AppliedWrite,
  type Cid,
  type Commit,
  type Repo,
  type RepoWrite,
} from '@skywright/repo'
import { InvalidRequestError, type LexiconCatalog } from '@skywright/xrpc'
import type { Account, AccountStore } from '../accounts/account-store.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { requireActive } from '../sessions/auth.ts'
import { findBlobReferences } from './blob-refs.ts'
import { checkRecord, type ValidationStatus } from './check-record.ts'
import type { RepoHost } from './repo-host.ts'

/** One write as a client asks for it; records are data-model values still to be checked. */
export type WriteRequest =
  | {
      readonly action: 'create'
      readonly collection: string
      readonly rkey: string
      readonly record: unknown
    }
  | {
      readonly action: 'update' | 'put'
      readonly collection: string
      readonly rkey: string
      readonly record: unknown
      readonly swapRecord?: Cid | null | undefined
    }
  | {
      readonly action: 'delete'
      readonly collection: string
      readonly rkey: string
      readonly swapRecord?: Cid | undefined
    }

/** What became of one write. */
export interface WriteResult {
  readonly action: AppliedWrite['action']
  readonly uri: string
  /** Absent after a delete. */
  readonly cid?: string
  readonly validationStatus?: ValidationStatus
}

export interface WriteOptions {
  readonly validate?: boolean | undefined
  readonly swapCommit?: Cid | undefined
}

/** Checks and commits writes, all of a batch or none. */
export type WriteRecords = (
  account: Account,
  writes: readonly WriteRequest[],
  options?: WriteOptions,
) => Promise<{ readonly commit: Commit | undefined; readonly results: readonly WriteResult[] }>

/**
 * Makes the one way into repositories: checks every record, checks that referenced blobs were
 * uploaded, drops deletes of what does not exist, commits, and says failures in the protocol's words.
 */
export function createRecordWriter(options: {
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly blobs: BlobStore
  readonly lexicons: LexiconCatalog
}): WriteRecords {
  const { accounts, repos, blobs, lexicons } = options

  function checkBlobs(did: string, record: unknown): void {
    for (const { cid, mimeType, size } of findBlobReferences(record)) {
      const blob = blobs.get(did, cid)
      if (blob === undefined) {
        throw new InvalidRequestError(`Could not find blob: ${cid}`, { error: 'BlobNotFound' })
      }
      if (blob.mimeType !== mimeType) {
        throw new InvalidRequestError(
          `blob was stored with another type; cid=${cid} stored=${blob.mimeType}`,
          { error: 'InvalidMimeType' },
        )
      }
      if (blob.size !== size) {
        throw new InvalidRequestError(
          `blob was stored with another size; cid=${cid} stored=${blob.size}`,
        )
      }
    }
  }

  return async (account, requests, { validate, swapCommit } = {}) => {
    const { did } = account
    const statuses: (ValidationStatus | undefined)[] = []
    const writes = requests.map((request): RepoWrite => {
      if (request.action === 'delete') {
        statuses.push(undefined)
        return request
      }
      const checked = checkRecord(lexicons, { ...request, validate })
      statuses.push(checked.validationStatus)
      return { ...request, record: checked.record }
    })

    // One batch of an account at a time, so that no blob is collected between its check and the commit.
    const applied = await repos.exclusively(did, async () => {
      // The account may have been deactivated while this batch waited; nothing may follow that.
      requireActive(accounts.getByDid(did))
      for (const write of writes) if (write.action !== 'delete') checkBlobs(did, write.record)
      const kept = await withoutVainDeletes(repos, did, writes)
      const repo = await repos.open(account)
      if (kept.length === 0 && writes.length > 0) {
        await refuseInWords(checkSwap(repo, swapCommit))
        return { commit: undefined, results: restore(writes, kept, []) }
      }
      const { commit, writes: results } = await refuseInWords(
        repo.applyWrites(kept, swapCommit === undefined ? {} : { swapCommit }),
      )
      return { commit, results: restore(writes, kept, results) }
    })

    return {
      commit: applied.commit,
      results: applied.results.map(({ action, path, cid }, index) => {
        const validationStatus = statuses[index]
        return {
          action,
          uri: `at://${did}/${path}`,
          ...(cid === null ? {} : { cid: cid.toString() }),
          ...(validationStatus === undefined ? {} : { validationStatus }),
        }
      }),
    }
  }
}

/** Deleting what is not there succeeds and changes nothing. */
async function withoutVainDeletes(
  repos: RepoHost,
  did: string,
  writes: readonly RepoWrite[],
): Promise<readonly RepoWrite[]> {
  if (!writes.some((write) => write.action === 'delete')) return writes
  const created = new Set<string>()
  const kept: RepoWrite[] = []
  for (const write of writes) {
    const path = `${write.collection}/${write.rkey}`
    if (write.action !== 'delete') created.add(path)
    else if (!created.has(path)) {
      const found = await repos.store.getRecord(did, write.collection, write.rkey)
      if (found === undefined) continue
    }
    kept.push(write)
  }
  return kept
}

/** What a batch that changes nothing still promises about the commit it found. */
async function checkSwap(repo: Repo, swapCommit: Cid | undefined): Promise<void> {
  if (swapCommit === undefined) return
  const { commit } = await repo.head()
  if (!equalCids(commit, swapCommit)) {
    throw new InvalidSwapError('commit', swapCommit.toString(), commit.toString())
  }
}

/** Puts the dropped deletes back into the results, in the order of the request. */
function restore(
  writes: readonly RepoWrite[],
  kept: readonly RepoWrite[],
  results: readonly AppliedWrite[],
): readonly AppliedWrite[] {
  if (kept.length === writes.length) return results
  let next = 0
  return writes.map((write): AppliedWrite => {
    const result = kept[next] === write ? results[next++] : undefined
    const { collection, rkey } = write
    return result ?? { action: 'none', collection, rkey, path: `${collection}/${rkey}`, cid: null }
  })
}

/** Turns the repository's refusals into answers to the client; anything else is a fault and stays one. */
async function refuseInWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof InvalidSwapError) {
      throw new InvalidRequestError(
        `${error.subject} is at ${error.actual ?? 'nothing'}, not at ${error.expected ?? 'nothing'}`,
        { error: 'InvalidSwap', cause: error },
      )
    }
    if (error instanceof RecordNotFoundError) {
      throw new InvalidRequestError(`Could not locate record: ${error.path}`, { cause: error })
    }
    if (error instanceof RepoError && CLIENT_FAULTS.has(error.code)) {
      throw new InvalidRequestError(error.message, { cause: error })
    }
    throw error
  }
}

const CLIENT_FAULTS: ReadonlySet<string> = new Set([
  'InvalidCbor',
  'InvalidData',
  'InvalidSyntax',
  'InvalidWrite',
  'LimitExceeded',
  'RecordExists',
])
