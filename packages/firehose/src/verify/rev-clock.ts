import { formatTid } from '@skywright/repo'
import { MAX_REV_AHEAD_MS } from '../limits.ts'

/**
 * Tells whether a `rev` lies too far in the future. Accepting one would lock the account: every honest later commit
 * would look stale.
 */
export function createFutureRevCheck(
  now: () => number,
  aheadMs: number = MAX_REV_AHEAD_MS,
): (rev: string) => boolean {
  let computedAt = -Infinity
  let latest = ''
  return (rev) => {
    const nowMs = now()
    // TIDs order like their text, so one bound per second is enough.
    if (nowMs - computedAt >= 1_000 || nowMs < computedAt) {
      computedAt = nowMs
      latest = formatTid({
        timestampMicros: BigInt(Math.floor(nowMs + aheadMs)) * 1000n,
        clockId: 1023,
      })
    }
    return rev > latest
  }
}
