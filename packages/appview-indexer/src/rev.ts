import { isTid } from '@skywright/repo'

/** How far in the future a rev may lie, in milliseconds: clocks differ by minutes, not by hours. */
export const MAX_REV_LEAD_MS = 300_000

const ALPHABET = '234567abcdefghijklmnopqrstuvwxyz'

/** Whether a rev is a TID not further in the future than clocks may differ. A rev beyond would lock the account. */
export function isPlausibleRev(rev: string, now: number): boolean {
  return isTid(rev) && revMillis(rev) <= now + MAX_REV_LEAD_MS
}

/** Unix milliseconds a TID says it was made at. */
export function revMillis(rev: string): number {
  let micros = 0
  for (let at = 0; at < 11; at++) micros = micros * 32 + ALPHABET.indexOf(rev.charAt(at))
  return micros / 1000
}
