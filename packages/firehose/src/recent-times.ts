/** Times remembered: most of as many events would have to lie to move the result. */
const REMEMBERED = 101

/** What moment a stream has reached, by what its events claim. A single event may claim anything. */
export class RecentTimes {
  private readonly times: number[] = []
  private pushed = 0

  /** An event claims this time, in milliseconds since 1970. `NaN` is left out. */
  push(timeMs: number): void {
    if (Number.isNaN(timeMs)) return
    this.times[this.pushed++ % REMEMBERED] = timeMs
  }

  /** The middle one of the latest times, the earlier of two. */
  get median(): number | undefined {
    return this.times.toSorted((a, b) => a - b)[(this.times.length - 1) >> 1]
  }
}
