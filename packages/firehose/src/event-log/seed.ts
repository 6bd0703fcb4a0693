/**
 * How a log chooses where its numbers continue after being opened.
 *
 * - `clock`: never below the clock in microseconds. A disk restored from an old copy then continues above every number
 *   given out since, as long as fewer than a million events a second were made, so no number is ever used twice.
 * - `counter`: right after the highest number ever stored here. Small numbers, but an old copy of the disk repeats them.
 */
export type SequenceMode = 'clock' | 'counter'

/** The number after which a log continues. */
export function seedSequence(mode: SequenceMode, highWater: number, nowMs: number): number {
  return mode === 'clock' ? Math.max(highWater, Math.floor(nowMs) * 1000) : highWater
}
