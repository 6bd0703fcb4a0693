import { mkdir, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { LogCorruptError } from '../../errors.ts'
import { readLogState } from './log-state.ts'
import type { SegmentEventLog, SegmentEventLogOptions } from './segment-event-log.ts'
import { readSegmentIndex, segmentOfIndex, writeSegmentIndex } from './segment-index.ts'
import { SegmentLog } from './segment-log.ts'
import { SEGMENT_SUFFIX, SegmentSet, type SegmentDamage } from './segment-set.ts'
import { scanSegment, type SegmentInfo } from './segment.ts'

/**
 * An event log in append-only files, for relays: hundreds of gigabytes, hundreds of megabytes a minute.
 *
 * - Every event has a checksum. What was acknowledged is on disk (`fdatasync`); events published while a write is under
 *   way share the next one.
 * - After a crash the tail of the newest file is read, and cut off behind the last event that holds.
 * - Retention removes whole files; what it cuts out of a file is hidden at once.
 * - Erased events are hidden at once and then physically removed.
 *
 * Opening reads the newest file, and of the others the index beside each. A file without an index that fits is read.
 *
 * @throws {LogCorruptError} when a file is no segment of this format.
 */
export async function openSegmentEventLog(
  options: SegmentEventLogOptions,
): Promise<SegmentEventLog> {
  const { folder } = options
  const damaged = tellOnce(options.onDamage)
  await mkdir(folder, { recursive: true })
  const state = await readLogState(folder)
  const segments: SegmentInfo[] = []
  const files = await segmentFiles(folder)
  for (const [index, { name, first }] of files.entries()) {
    const path = join(folder, name)
    const isNewest = index === files.length - 1
    const known = isNewest ? undefined : await readSegmentIndex(path)
    const info = known ?? (await scanSegment(path, first, (offset) => damaged({ path, offset })))
    if (info.size === 0) {
      await rm(path)
      continue
    }
    if (isNewest) await truncate(path, info.size)
    else if (known === undefined) await writeSegmentIndex(info)
    segments.push(info)
  }
  const set = new SegmentSet({ folder, segments, onDamage: damaged })
  const log = new SegmentLog(options, set, state)
  // Hidden already; should it fail, the next erasure tries again.
  if (Object.keys(state.erased).length > 0) log.removeHidden().catch(() => undefined)
  return log
}

/**
 * The files of a log, oldest first. A file that was being rewritten when the process ended is there twice; the later
 * one is complete, or it would not have its name.
 */
async function segmentFiles(
  folder: string,
): Promise<readonly { readonly name: string; readonly first: number }[]> {
  const newest = new Map<number, string>()
  const names = (await readdir(folder)).toSorted()
  for (const name of names) {
    const indexed = segmentOfIndex(name)
    const isOrphan = indexed !== undefined && !names.includes(indexed)
    if (isOrphan || name.endsWith('.tmp')) await rm(join(folder, name))
    if (!name.endsWith(SEGMENT_SUFFIX)) continue
    const first = Number(name.slice(0, 16))
    if (!Number.isSafeInteger(first)) throw new LogCorruptError(`strange file name ${name}`)
    const older = newest.get(first)
    if (older !== undefined) await rm(join(folder, older))
    newest.set(first, name)
  }
  return [...newest].map(([first, name]) => ({ name, first }))
}

/** A damaged record is met by every reader, and told of by the first. */
function tellOnce(
  onDamage: ((damage: SegmentDamage) => void) | undefined,
): (damage: SegmentDamage) => void {
  const told = new Set<string>()
  return (damage) => {
    const place = `${damage.path} ${String(damage.offset)}`
    if (told.has(place)) return
    told.add(place)
    onDamage?.(damage)
  }
}
