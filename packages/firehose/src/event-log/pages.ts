import type { LogEntry, LogReadOptions } from './port.ts'

/** Most events in one page unless asked otherwise. */
export const DEFAULT_PAGE_EVENTS = 500
/** Most bytes of frames in one page unless asked otherwise. */
export const DEFAULT_PAGE_BYTES: number = 4 * 1024 * 1024

/** The page limits a read works with. */
export function pageLimits(options: LogReadOptions | undefined): {
  readonly maxEvents: number
  readonly maxBytes: number
} {
  const { maxEvents = DEFAULT_PAGE_EVENTS, maxBytes = DEFAULT_PAGE_BYTES } = options ?? {}
  if (maxEvents < 1) throw new RangeError('maxEvents must be positive')
  return { maxEvents, maxBytes }
}

/** Index of the first entry with `seq` greater than `after`, in ascending entries. */
export function firstAfter(entries: readonly LogEntry[], after: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.seq ?? Infinity) > after) high = middle
    else low = middle + 1
  }
  return low
}

/** Entries from `start` on, within the limits, at least one where there is one. */
export function takePage<E extends LogEntry>(
  entries: readonly E[],
  start: number,
  limits: { readonly maxEvents: number; readonly maxBytes: number },
): readonly E[] {
  const page: E[] = []
  let bytes = 0
  for (let i = start; i < entries.length && page.length < limits.maxEvents; i++) {
    const entry = entries[i]
    if (entry === undefined) break
    bytes += entry.frame.length
    if (page.length > 0 && bytes > limits.maxBytes) break
    page.push(entry)
  }
  return page
}
