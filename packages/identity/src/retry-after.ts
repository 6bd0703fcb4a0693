/** Longest wait believed: a day. Who answers with a year would otherwise be left alone for one. */
const MAX_RETRY_AFTER_MS = 86_400_000

/**
 * How long an answer asks to be left alone, in milliseconds, at most a day: its `retry-after`, in seconds or as a date.
 * `undefined` when it does not say, or says nonsense.
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#field.retry-after}
 */
export function readRetryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, MAX_RETRY_AFTER_MS)
  // A date begins with the name of its day. `Date.parse` alone reads a year into nearly anything.
  const dateMs = /^[A-Za-z]{3,9},? /.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(dateMs)) return undefined
  return Math.min(Math.max(dateMs - nowMs, 0), MAX_RETRY_AFTER_MS)
}
