/** What a worker is asked to prove: frames behind each other in one buffer, each with the key it must be signed by. */
export interface ProveRequest {
  readonly id: number
  readonly bytes: Uint8Array
  /** Length of each frame. */
  readonly lengths: readonly number[]
  /** `did:key` of each account. */
  readonly keys: readonly string[]
}

/** Why a frame was not proven. */
export interface ProveFailure {
  readonly code: string
  readonly message: string
  /** Fields of the error that its reason depends on. */
  readonly field?: string
  readonly cid?: string
}

/** Bytes of a CID of a commit or of an MST node. */
export const CID_BYTES = 36

/**
 * Results in the order of the request's frames. In few large arrays, which are handed over and not copied, because
 * taking a message of many small parts apart costs the calling thread more than the rest of its share.
 */
export interface ProveResponse {
  readonly id: number
  /** Binary CIDs of commit and MST root of each frame; zeros where it was not proven. */
  readonly cids: Uint8Array
  /** Offset in its frame and length of each record, in the order of the operations that carry one, of all proven frames. */
  readonly records: Uint32Array
  /** Place in the request of each frame that was not proven. */
  readonly failures: readonly (readonly [index: number, failure: ProveFailure])[]
}
