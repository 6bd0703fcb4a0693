/** Largest event-stream message of `subscribeRepos`, in bytes ({@link https://atproto.com/specs/sync#limits}). */
export const MAX_FRAME_BYTES = 5_000_000

/** Largest message of a stream of JSON, in bytes: a record of 1,000,000 whose every byte is escaped with six, and room. */
export const MAX_JSON_MESSAGE_BYTES = 8_000_000

/** Largest `blocks` field of a `#commit`, in bytes (com.atproto.sync.subscribeRepos lexicon). */
export const MAX_COMMIT_BLOCKS_BYTES = 2_000_000

/** Largest `blocks` field of a `#sync`, in bytes (com.atproto.sync.subscribeRepos lexicon). */
export const MAX_SYNC_BLOCKS_BYTES = 10_000

/** Most operations in one `#commit` (com.atproto.sync.subscribeRepos lexicon). */
export const MAX_COMMIT_OPS = 200

/** Largest sequence number: cursors are JSON-safe integers. */
export const MAX_SEQ: number = Number.MAX_SAFE_INTEGER

/** How far a `rev` may lie in the future before it is rejected, in milliseconds (five minutes, as relays apply). */
export const MAX_REV_AHEAD_MS = 300_000

/** Longest DID accepted, in characters ({@link https://atproto.com/specs/did#did-identifier-syntax}). */
export const MAX_DID_LENGTH = 2048

/** Longest repository path accepted: NSID 317, slash, record key 512. */
export const MAX_PATH_LENGTH = 830
