/**
 * Read, write, verify, diff and prove AT Protocol repositories, without HTTP, keys or a runtime.
 *
 * *Terms*: a repo is a signed *commit* over the root of an *MST* (Merkle search tree) that maps *paths* (`collection/rkey`) to
 * the CIDs of records. `rev` is the commit's revision, a TID; `data` the root of its tree, `prevData` the root before;
 * *inversion* undoes the operations of a commit on the tree after it, which must give `prevData`; a *covering proof* is the
 * nodes that takes.
 *
 * *Guarantees*: what is verified is verified completely (every hash, canonical encoding, every rule of the tree); a commit,
 * its records and its events are stored together or not at all; what comes from outside is bounded before it is used.
 *
 * *Tricky parts*: a node that is missing is unknown, never absent ({@link MissingBlockError}, {@link ProofIncompleteError});
 * what a block is depends on what refers to it, never on its looks; CIDs may be objects of another copy of multiformats: use
 * {@link isCid} and {@link asCid}, not `instanceof`; byte arrays in results may be views of the input.
 *
 * @packageDocumentation
 */
export {
  asCid,
  cidForCbor,
  cidForRaw,
  cidFromBytes,
  createCid,
  equalCids,
  isCid,
  parseCid,
} from './cid.ts'
export type { Cid } from './cid.ts'
export {
  REPO_VERSION,
  MAX_COMMIT_OPS,
  MAX_COMMIT_BLOCKS_BYTES,
  MAX_RECORD_BYTES,
  MAX_CBOR_BYTES,
  MAX_NESTING,
  MAX_CONTAINER_ITEMS,
  MAX_OBJECT_KEY_BYTES,
  MAX_CID_BYTES,
  MAX_PATH_BYTES,
  MAX_MST_KEY_BYTES,
  MAX_MST_NODE_ENTRIES,
  MAX_MST_NODE_KEY_BYTES,
  MAX_MST_DEPTH,
  MAX_CAR_HEADER_BYTES,
  MAX_CAR_BLOCK_BYTES,
  MAX_CAR_BLOCKS,
  MAX_CAR_BYTES,
  MAX_SYNC_BLOCKS_BYTES,
} from './limits.ts'
export { collectBlobs, isBlob, parseBlobRef } from './blobs.ts'
export type { Blob, BlobRef } from './blobs.ts'
export { BlockMap } from './block-map.ts'
export { decodeCar, encodeCar, readCar, writeCar } from './car/car.ts'
export type { Car, CarReader } from './car/car.ts'
export type { CarLimits } from './car/decode.ts'
export type { ByteSource } from './car/chunk-reader.ts'
export type { ReadCarOptions } from './car/stream.ts'
export { checkCbor, decodeCbor, decodeCborPrefix, encodeCbor, encodeCborSequence } from './cbor.ts'
export type { DecodeCborOptions } from './cbor.ts'
export { decodeCommit } from './commit.ts'
export type { Commit, CommitObject } from './commit.ts'
export type { ExportOptions } from './export.ts'
export { importRepo } from './import.ts'
export type { ImportRepoOptions, ImportRepoResult } from './import.ts'
export { checkLex, jsonToLex, jsonToRecord, lexToJson } from './json.ts'
export type { Json } from './json.ts'
export { keyDepth } from './mst/depth.ts'
export { buildMst, Mst } from './mst/mst.ts'
export type { BuiltMst, MstDifference, MstOptions, MstRange, NodeBlocks } from './mst/mst.ts'
export type { RepoOp } from './ops.ts'
export { formatPath, isPath, parsePath } from './path.ts'
export type { PathParts } from './path.ts'
export { readRepo } from './read-repo.ts'
export type { ReadRepoOptions, RepoReader } from './read-repo.ts'
export { Repo } from './repo.ts'
export type { ApplyWritesOptions, ApplyWritesResult, CommitEvents, RepoOptions } from './repo.ts'
export type {
  Block,
  EventEncoder,
  EventSink,
  ListRecordsOptions,
  PageOptions,
  RecordKey,
  RecordPut,
  RepoChange,
  RepoHead,
  RepoSnapshot,
  RepoStage,
  RepoStore,
  StagedChange,
  StoredNode,
  StoredRecord,
} from './repo-store.ts'
export { createMemoryRepoStore } from './stores/memory.ts'
export type { MemoryRepoStoreOptions } from './stores/memory.ts'
export type { Signer, Verifier } from './signer.ts'
export { createTidClock, formatTid, isTid, parseTid } from './tid.ts'
export type { TidClock, TidClockOptions, TidParts } from './tid.ts'
export { findNeighbours } from './neighbours.ts'
export type { Neighbours } from './neighbours.ts'
export { verifyCommit } from './verify-commit.ts'
export type { VerifiedCommit, VerifyCommitInput } from './verify-commit.ts'
export type { RecordMode } from './verify-record.ts'
export { verifyRecordProof } from './verify-record-proof.ts'
export type { VerifiedRecordProof, VerifyRecordProofOptions } from './verify-record-proof.ts'
export { verifyRepo, verifyRepoSync } from './verify-repo.ts'
export type { RepoRecord, VerifiedRepo, VerifyRepoOptions } from './verify-repo.ts'
export type { AppliedWrite, CreateWrite, DeleteWrite, RepoWrite, UpdateWrite } from './writes.ts'
export {
  CommitMismatchError,
  HeadMovedError,
  InvalidCarError,
  InvalidCborError,
  InvalidCidError,
  InvalidCommitError,
  InvalidDataError,
  InvalidMstError,
  InvalidOpsError,
  InvalidProofError,
  InvalidRecordError,
  InvalidSignatureError,
  InvalidSwapError,
  InvalidSyntaxError,
  InvalidWriteError,
  LimitExceededError,
  MissingBlockError,
  ProofIncompleteError,
  RecordExistsError,
  RecordNotFoundError,
  RepoError,
  RepoExistsError,
  RepoNotFoundError,
  StaleRevError,
} from './errors.ts'
export type { RepoErrorCode } from './errors.ts'
