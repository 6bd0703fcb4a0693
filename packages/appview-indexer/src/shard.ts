/** One of several processes that share an index: it handles the accounts whose DID falls to it. */
export interface Shard {
  /** 0 to `count - 1`. */
  readonly index: number
  /** How many processes share the index; all must say the same. */
  readonly count: number
}

/** No sharing. */
export const WHOLE: Shard = { index: 0, count: 1 }

/** Buckets accounts fall into; also the most shards. */
export const SHARD_BUCKETS = 65_536

/** The bucket of a DID: FNV-1a over its characters. Stored, so it must never change. */
export function shardBucket(did: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < did.length; at++)
    hash = Math.imul(hash ^ did.charCodeAt(at), 0x01000193) >>> 0
  return (hash ^ (hash >>> 16)) & (SHARD_BUCKETS - 1)
}

/** Whether an account is a shard's. */
export function isOfShard(did: string, shard: Shard): boolean {
  return shard.count === 1 || shardBucket(did) % shard.count === shard.index
}

/** @throws {RangeError} when there is no such shard */
export function checkShard({ index, count }: Shard): void {
  if (!Number.isInteger(count) || count < 1 || count > SHARD_BUCKETS)
    throw new RangeError(`shard.count must be 1 to ${SHARD_BUCKETS}`)
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new RangeError('shard.index must be 0 to shard.count - 1')
}
