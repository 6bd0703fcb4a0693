import { untilAborted } from '../abort.ts'

/**
 * Joins concurrent calls for one key into one piece of work. Each caller may give up by its own signal; the work goes
 * on for the others, and is aborted when the last one leaves.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** Flights in the air. */
  get size(): number {
    return this.#flights.size
  }

  /** Runs `work` for `key`, or joins the run that is under way. */
  async join(
    key: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    let flight = this.#flights.get(key)
    if (flight === undefined) {
      flight = this.#start(key, work)
    }
    flight.waiting++
    try {
      return signal === undefined ? await flight.result : await untilAborted(flight.result, signal)
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        this.#forget(key, flight)
        flight.controller.abort()
      }
    }
  }

  /** True while the run that was given `signal` is the one later callers would join. */
  isCurrent(key: string, signal: AbortSignal): boolean {
    return this.#flights.get(key)?.controller.signal === signal
  }

  /** Lets the next caller for `key` start afresh instead of joining what is under way. */
  detach(key: string): void {
    this.#flights.delete(key)
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const flight: Flight<T> = { controller, waiting: 0, result: work(controller.signal) }
    this.#flights.set(key, flight)
    // Callers see a rejection where they wait; here only the end matters.
    void flight.result.catch(() => undefined).finally(() => this.#forget(key, flight))
    return flight
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}

interface Flight<T> {
  readonly controller: AbortController
  readonly result: Promise<T>
  waiting: number
}
