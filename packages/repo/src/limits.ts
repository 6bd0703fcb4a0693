/**
 * Bounds on everything that comes from outside, each with its unit and its source.
 *
 * `spec` marks a limit of the protocol's own pages, `ours` a safety bound chosen far above anything legitimate.
 */

/** Repository format version written in every commit. @see {@link https://atproto.com/specs/repository#commit-objects} */
export const REPO_VERSION = 3
/** Operations one `#commit` may carry (spec, sync). */
export const MAX_COMMIT_OPS = 200
/** Bytes of `blocks` one `#commit` may carry (spec, sync). */
export const MAX_COMMIT_BLOCKS_BYTES = 2_000_000
/** Bytes of one encoded record (spec, sync). */
export const MAX_RECORD_BYTES = 1_000_000
/** Bytes of one CBOR item or frame the general decoder takes (ours, the frame bound of subscribeRepos). */
export const MAX_CBOR_BYTES = 5_000_000
/** Nesting levels of CBOR and JSON values (ours). */
export const MAX_NESTING = 32
/** Elements of one array or map (ours). */
export const MAX_CONTAINER_ITEMS = 131_072
/** Bytes of one object key (ours). */
export const MAX_OBJECT_KEY_BYTES = 8_192
/** Bytes of one binary CID inside CBOR or a CAR (ours; the protocol's own are 36). */
export const MAX_CID_BYTES = 100
/** Bytes of the encoded collection and record key of a repo path: 317 + 1 + 512 (spec). */
export const MAX_PATH_BYTES = 830
/** Bytes of one MST key (ours; a valid path stays below 830). */
export const MAX_MST_KEY_BYTES = 1_024
/** Entries of one MST node (ours; the natural maximum for ten million keys is about 56). */
export const MAX_MST_NODE_ENTRIES = 1_024
/** Expanded key bytes of one MST node (ours; prefix compression amplifies about fifteen times). */
export const MAX_MST_NODE_KEY_BYTES = 262_144
/** Depth of a tree (ours; the natural maximum for ten million keys is about 12, for one mined key 128). */
export const MAX_MST_DEPTH = 64
/** Bytes of a CAR header (ours). */
export const MAX_CAR_HEADER_BYTES = 65_536
/** Bytes of one block of a CAR (ours, above the record bound). */
export const MAX_CAR_BLOCK_BYTES = 2_097_152
/** Blocks of one CAR held in memory (ours, replaceable by an option). */
export const MAX_CAR_BLOCKS = 20_000_000
/** Bytes of one CAR held in memory (ours, replaceable by an option). */
export const MAX_CAR_BYTES = 2_147_483_648
/** Bytes of `#sync.blocks` (lexicon). */
export const MAX_SYNC_BLOCKS_BYTES = 10_000
