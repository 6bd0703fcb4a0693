/**
 * Counts of everything received:
 * received = delivered + filtered + rejected + discontinuous + parked + unknown + invalid + info.
 * Where a run was stopped, `received` also holds what it had not begun to handle.
 */
export interface ConsumerCounts {
  received: number
  delivered: number
  filtered: number
  rejected: number
  discontinuous: number
  /** Held back for a repository being fetched, to follow it or to be replaced by it. */
  parked: number
  unknown: number
  invalid: number
  info: number
}

/** Counts of nothing yet. */
export function emptyCounts(): ConsumerCounts {
  return {
    received: 0,
    delivered: 0,
    filtered: 0,
    rejected: 0,
    discontinuous: 0,
    parked: 0,
    unknown: 0,
    invalid: 0,
    info: 0,
  }
}
