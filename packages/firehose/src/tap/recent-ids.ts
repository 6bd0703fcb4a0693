/** Numbers remembered. */
const MAX_REMEMBERED = 100_000

/** The latest of the numbers it was given. */
export class RecentIds {
  private readonly ids = new Set<number>()

  has(id: number): boolean {
    return this.ids.has(id)
  }

  add(id: number): void {
    this.ids.add(id)
    if (this.ids.size <= MAX_REMEMBERED) return
    const [oldest] = this.ids
    if (oldest !== undefined) this.ids.delete(oldest)
  }
}
