/**
 * Knows how far a stream was completely handled when its events finish in any order.
 *
 * `value` is the highest number such that every started number at or below it has finished: the only safe cursor.
 */
export class LowWater {
  private readonly open: { seq: number; done: boolean }[] = []
  private head = 0
  private current: number | undefined

  constructor(start: number | undefined) {
    this.current = start
  }

  /** The safe cursor, `undefined` before anything finished. */
  get value(): number | undefined {
    return this.current
  }

  /** How many started numbers have not been passed yet. */
  get pending(): number {
    return this.open.length - this.head
  }

  /**
   * An event was received. Numbers must not go down.
   *
   * @returns to be called once, when the event is finished.
   */
  start(seq: number): () => void {
    const entry = { seq, done: false }
    this.open.push(entry)
    return () => {
      entry.done = true
      this.advance()
    }
  }

  private advance(): void {
    for (let entry = this.open[this.head]; entry?.done === true; entry = this.open[this.head]) {
      this.current = entry.seq
      this.head++
    }
    // Shift in bulk: one by one would be quadratic for long backlogs.
    if (this.head > 1_024 && this.head * 2 > this.open.length) {
      this.open.splice(0, this.head)
      this.head = 0
    }
  }
}
