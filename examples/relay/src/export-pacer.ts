/** Exports of one repository that its host is asked for at the most, a second. */
const EXPORTS_PER_SECOND = 1
/** Longest time a caller is asked to wait; a longer queue goes on beside its own beginning. */
const MAX_WAIT_SECONDS = 60
/** Repositories whose queue is remembered; when full, the one asked for longest ago is forgotten. */
const MAX_REPOS = 10_000

/**
 * Spreads those who are sent to one repository's host over time.
 *
 * After a gap or a `#sync` every consumer of a relay wants the same repository in the same second. A relay that keeps no
 * repositories cannot hand one copy to all of them, but it sees them all coming and can give each a turn: the first goes
 * at once, each further one a second later than the one before.
 */
export class ExportPacer {
  readonly #now: () => number
  /** When the next caller may go, in milliseconds since 1970. */
  readonly #turns = new Map<string, number>()

  constructor({ now }: { readonly now: () => number }) {
    this.#now = now
  }

  /** Takes a turn; gives the seconds to wait for it, 0 for those that may go at once. */
  take(did: string): number {
    const now = this.#now()
    const turn = Math.max(now, this.#turns.get(did) ?? 0)
    const seconds = Math.ceil((turn - now) / 1_000)
    const isLate = seconds > MAX_WAIT_SECONDS
    this.#turns.delete(did)
    this.#turns.set(did, (isLate ? now : turn) + 1_000 / EXPORTS_PER_SECOND)
    if (this.#turns.size > MAX_REPOS) {
      const [oldest] = this.#turns.keys()
      if (oldest !== undefined) this.#turns.delete(oldest)
    }
    return isLate ? 0 : seconds
  }
}
