/** Unix milliseconds as the protocol writes a time. */
export function isoTime(millis: number): string {
  return new Date(millis).toISOString()
}
