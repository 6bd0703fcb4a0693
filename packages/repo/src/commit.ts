import { isValidDid } from '@atproto/syntax'

import { CborReader, MAJOR_TAG } from './cbor-reader.ts'
import { skipCborItem } from './cbor.ts'
import { encodeCbor } from './encode-cbor.ts'
import { type Cid, cidFromKey, type CidKey, isBlessedCborKey } from './cid.ts'
import { InvalidCborError, InvalidCommitError } from './errors.ts'
import { REPO_VERSION } from './limits.ts'
import type { RepoOp } from './ops.ts'
import type { Signer } from './signer.ts'
import { isTid } from './tid.ts'

/** The fields of a signed commit object. @see {@link https://atproto.com/specs/repository#commit-objects} */
export interface CommitObject {
  readonly did: string
  readonly version: 3
  /** CID of the MST root. */
  readonly data: Cid
  readonly rev: string
  /** The commit before, in repos of old; null in every commit of today. */
  readonly prev: Cid | null
  readonly sig: Uint8Array
}

/** One commit of a repo, with everything a `#commit` or `#sync` event needs. */
export interface Commit {
  readonly did: string
  readonly rev: string
  /** Rev of the commit before; null for the first commit of a repo. */
  readonly since: string | null
  /** CID of the signed commit object. */
  readonly cid: Cid
  /** CID of the MST root. */
  readonly data: Cid
  /** CID of the MST root before; absent for the first commit of a repo. */
  readonly prevData?: Cid
  /** Changed records, sorted by path. */
  readonly ops: readonly RepoOp[]
  /** CAR slice: the commit (root), new nodes, new records and the nodes needed to invert the ops. */
  readonly blocks: Uint8Array
  /** The signed commit object, encoded (what `#sync` carries as its only block). */
  readonly bytes: Uint8Array
  /** CIDs of blobs the created and updated records reference, each once. */
  readonly blobs: readonly Cid[]
}

/** A commit object as read from its block, by keys. */
export interface ParsedCommit {
  readonly did: string
  readonly rev: string
  readonly data: CidKey
  readonly prev: CidKey | null
  readonly sig: Uint8Array
  /** The bytes the signature is over: the object without `sig`. */
  readonly unsigned: Uint8Array
}

/** Fields a commit may have, room for additions included. */
const MAX_COMMIT_FIELDS = 16
const MAX_FIELD_NAME_BYTES = 64
const MAX_DID_BYTES = 2048
const MAX_SIG_BYTES = 256

/**
 * Reads a signed commit object from its canonical block. Fields unknown today are kept under the signature.
 *
 * @throws {InvalidCommitError} when it is not one of version 3, or a field has the wrong shape or syntax.
 */
export function parseCommit(bytes: Uint8Array): ParsedCommit {
  try {
    return readCommit(new CborReader(bytes))
  } catch (cause) {
    if (cause instanceof InvalidCborError)
      throw new InvalidCommitError(`${cause.reason}, at byte ${cause.offset}`, { cause })
    throw cause
  }
}

function readCommit(reader: CborReader): ParsedCommit {
  let did: string | undefined
  let rev: string | undefined
  let data: CidKey | undefined
  let prev: CidKey | null | undefined
  let version: number | undefined
  let sig: Uint8Array | undefined
  let sigStart = 0
  let sigEnd = 0
  const fields = reader.readMapHead(MAX_COMMIT_FIELDS, 'commit')
  let previous = ''
  for (let i = 0; i < fields; i++) {
    const start = reader.position
    const name = reader.readText(MAX_FIELD_NAME_BYTES, 'field name')
    if (name.length < previous.length || (name.length === previous.length && name <= previous)) {
      reader.fail('fields not in order', start)
    }
    previous = name
    switch (name) {
      case 'did':
        did = reader.readText(MAX_DID_BYTES, 'did')
        break
      case 'rev':
        rev = reader.readText(13, 'rev')
        break
      case 'sig':
        sig = reader.readBytes(MAX_SIG_BYTES, 'sig')
        sigStart = start
        sigEnd = reader.position
        break
      case 'data':
        data = readBlessedLink(reader, 'data')
        break
      case 'prev':
        prev =
          reader.peek() >> 5 === MAJOR_TAG
            ? readBlessedLink(reader, 'prev')
            : readNull(reader, 'prev')
        break
      case 'version':
        version = reader.readUnsigned(Number.MAX_SAFE_INTEGER, 'version')
        break
      default:
        skipCborItem(reader)
    }
  }
  reader.expectEnd()
  if (version !== REPO_VERSION) throw new InvalidCommitError('version is not 3')
  if (did === undefined || !isValidDid(did))
    throw new InvalidCommitError('did missing or malformed')
  if (rev === undefined || !isTid(rev)) throw new InvalidCommitError('rev missing or malformed')
  if (data === undefined) throw new InvalidCommitError('data missing')
  if (prev === undefined) throw new InvalidCommitError('prev missing')
  if (sig === undefined || sig.length === 0) throw new InvalidCommitError('sig missing')
  return { did, rev, data, prev, sig, unsigned: cutOut(reader.bytes, sigStart, sigEnd) }
}

function readBlessedLink(reader: CborReader, what: string): CidKey {
  const at = reader.position
  const key = reader.readLinkKey(what)
  if (!isBlessedCborKey(key)) reader.fail(`${what} is not a cbor cid`, at)
  return key
}

function readNull(reader: CborReader, what: string): null {
  reader.expectLiteral('\xf6', what)
  return null
}

/** Gives a one-head map without the entry from `start` to `end`. */
function cutOut(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const rest = new Uint8Array(bytes.length - (end - start))
  rest.set(bytes.subarray(0, start))
  rest.set(bytes.subarray(end), start)
  // At most 16 fields: the count is in the first byte, one less now.
  rest[0] = (rest[0] ?? 0) - 1
  return rest
}

/** Gives the commit object of its parsed form. */
export function commitObject(parsed: ParsedCommit): CommitObject {
  return {
    did: parsed.did,
    version: REPO_VERSION,
    data: cidFromKey(parsed.data),
    rev: parsed.rev,
    prev: parsed.prev === null ? null : cidFromKey(parsed.prev),
    sig: parsed.sig,
  }
}

/** Gives the signed, encoded commit object of a repo state. */
export async function signCommit(
  fields: { readonly did: string; readonly rev: string; readonly data: CidKey },
  signer: Signer,
): Promise<Uint8Array> {
  const unsigned = {
    did: fields.did,
    rev: fields.rev,
    data: cidFromKey(fields.data),
    prev: null,
    version: REPO_VERSION,
  }
  const sig = await signer.sign(encodeCbor(unsigned))
  if (sig.length !== 64) throw new TypeError('signer must give 64 bytes')
  return encodeCbor({ ...unsigned, sig })
}

/**
 * Reads a signed commit object.
 *
 * @throws {InvalidCommitError} when the bytes are not a canonical commit object of version 3.
 */
export function decodeCommit(bytes: Uint8Array): CommitObject {
  return commitObject(parseCommit(bytes))
}
