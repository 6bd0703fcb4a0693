/** What a worker is asked to prove: frames behind each other in one buffer, each with the key it must be signed by. */
export interface ProveRequest {
  readonly id: number
  readonly bytes: Uint8Array
  /** Length of each frame. */
  readonly lengths: readonly number[]
  /** `did:key` of each account. */
  readonly keys: readonly string[]
}

/** What a worker found out of one frame. */
export type ProveResult =
  | {
      readonly ok: true
      /** Binary CID of the commit. */
      readonly commit: Uint8Array
      /** Binary CID of the MST root. */
      readonly data: Uint8Array
      /** Path, offset in the frame and length of each record. */
      readonly records: readonly (readonly [path: string, offset: number, length: number])[]
    }
  | {
      readonly ok: false
      readonly code: string
      readonly message: string
      /** Fields of the error that its reason depends on. */
      readonly field?: string
      readonly cid?: string
    }

/** Results in the order of the request's frames. */
export interface ProveResponse {
  readonly id: number
  readonly results: readonly ProveResult[]
}
