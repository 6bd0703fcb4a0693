import type { Commit } from '@skywright/repo'
import type { ValidationStatus } from './check-record.ts'
import type { WriteResult } from './write-records.ts'

/** The answer to a write of one record. */
export interface WrittenRecord {
  readonly uri: string
  readonly cid: string
  /** Absent when nothing changed. */
  readonly commit?: { readonly cid: string; readonly rev: string }
  readonly validationStatus?: ValidationStatus
}

/** Describes the commit a write ended in. */
export function viewCommit(
  commit: Commit | undefined,
  result: WriteResult | undefined,
): WrittenRecord {
  if (result?.cid === undefined) throw new Error('a written record has a CID')
  const { uri, cid, validationStatus } = result
  return {
    uri,
    cid,
    ...(commit === undefined ? {} : { commit: { cid: commit.cid.toString(), rev: commit.rev } }),
    ...(validationStatus === undefined ? {} : { validationStatus }),
  }
}
