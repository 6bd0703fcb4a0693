import { InvalidSyntaxError } from './errors.ts'

const ALPHABET = '234567abcdefghijklmnopqrstuvwxyz'
const TID = /^[2-7a-j][2-7a-z]{12}$/
const CLOCK_IDS = 1024
const CLOCK_ID_BITS = 10n
const MAX_MICROS = 2n ** 53n - 1n

/** What a TID is made of. */
export interface TidParts {
  /** Microseconds since 1970. Beyond 2^53 only in TIDs whose top bit is set. */
  readonly timestampMicros: bigint
  /** 0 to 1023. */
  readonly clockId: number
}

/** Tells whether `text` is a TID. @see {@link https://atproto.com/specs/tid} */
export function isTid(text: string): boolean {
  return text.length === 13 && TID.test(text)
}

/**
 * Gives the parts of a TID. Never trust the time of a TID somebody else made.
 *
 * @throws {InvalidSyntaxError} when `text` is no TID.
 */
export function parseTid(text: string): TidParts {
  if (!isTid(text)) throw new InvalidSyntaxError('tid', text, 'not 13 sortable base32 characters')
  let value = 0n
  for (const character of text) value = (value << 5n) | BigInt(ALPHABET.indexOf(character))
  return { timestampMicros: value >> CLOCK_ID_BITS, clockId: Number(value & 1023n) }
}

/**
 * Gives the TID of its parts.
 *
 * @throws {RangeError} when a part is out of range.
 */
export function formatTid(parts: TidParts): string {
  const { timestampMicros, clockId } = parts
  if (timestampMicros < 0n || timestampMicros > MAX_MICROS) {
    throw new RangeError('timestampMicros must be from 0 to 2^53-1')
  }
  if (!Number.isInteger(clockId) || clockId < 0 || clockId >= CLOCK_IDS) {
    throw new RangeError('clockId must be an integer from 0 to 1023')
  }
  let value = (timestampMicros << CLOCK_ID_BITS) | BigInt(clockId)
  let text = ''
  for (let i = 0; i < 13; i++) {
    text = (ALPHABET[Number(value & 31n)] ?? '') + text
    value >>= 5n
  }
  return text
}

/** Tells whether no legal TID of a later microsecond is left above this one. */
export function isLastTid(tid: string): boolean {
  return parseTid(tid).timestampMicros >= MAX_MICROS
}

/** Makes TIDs. */
export interface TidClock {
  /**
   * Without `after`: a TID above every one this clock gave so before, whatever the wall clock does (for record keys).
   *
   * With `after`: a TID of now, or of the microsecond behind `after` where that one is ahead of the wall clock (for revs).
   * It depends on nothing else, so that one rev from the future does not push those of other repos.
   *
   * @throws {RangeError} when no legal TID is above `after`.
   */
  next(after?: string): string
}

/** Options of {@link createTidClock}. */
export interface TidClockOptions {
  /** Milliseconds since 1970; fractions count, to the microsecond. @defaultValue the system clock */
  readonly now?: () => number
  /** 0 to 1023; tells clocks of the same microsecond apart. @defaultValue random */
  readonly clockId?: number
}

/** Gives a TID clock. Its TIDs never have the top bit set. */
export function createTidClock(options: TidClockOptions = {}): TidClock {
  const { now = Date.now, clockId = Math.floor(Math.random() * CLOCK_IDS) } = options
  let last = -1n
  return {
    next(after?: string): string {
      let micros = BigInt(Math.max(0, Math.floor(now() * 1000)))
      if (after === undefined) {
        if (micros <= last) micros = last + 1n
        last = micros
      } else {
        const floor = parseTid(after).timestampMicros
        if (micros <= floor) micros = floor + 1n
      }
      return formatTid({ timestampMicros: micros, clockId })
    },
  }
}
