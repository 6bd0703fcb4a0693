import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { SegmentInfo } from './segment.ts'

const SUFFIX = '.idx'

/** Whether a file beside the segments is such an index; gives the name of its segment. */
export function segmentOfIndex(name: string): string | undefined {
  return name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined
}

/**
 * Stores what is known of a finished segment beside it, so that opening the log need not read it again. Losing or
 * damaging the file costs that reading and nothing else, which is why it is not forced to the disk.
 */
export async function writeSegmentIndex({ path, ...info }: SegmentInfo): Promise<void> {
  const body = JSON.stringify({ ...info, index: info.index.map(toRow) })
  const temporary = `${path}${SUFFIX}.tmp`
  await writeFile(temporary, `${String(crc32(body))}\n${body}`)
  await rename(temporary, `${path}${SUFFIX}`)
}

/** What was known of a segment when it was finished; `undefined` when that is not there, or not of this very file. */
export async function readSegmentIndex(path: string): Promise<SegmentInfo | undefined> {
  let text: string
  try {
    text = await readFile(`${path}${SUFFIX}`, 'utf8')
  } catch {
    return undefined
  }
  const end = text.indexOf('\n')
  const body = text.slice(end + 1)
  if (String(crc32(body)) !== text.slice(0, end)) return undefined
  // Written by writeSegmentIndex, as the checksum says.
  const stored = JSON.parse(body) as Omit<SegmentInfo, 'path' | 'index'> & {
    readonly index: readonly IndexRow[]
  }
  const { size } = await stat(path)
  if (size !== stored.size) return undefined
  return { ...stored, path, index: stored.index.map(fromRow) }
}

export async function removeSegmentIndex(path: string): Promise<void> {
  await rm(`${path}${SUFFIX}`, { force: true })
}

type IndexRow = readonly [after: number, afterMs: number | null, offset: number]

function toRow({ after, afterMs, offset }: SegmentInfo['index'][number]): IndexRow {
  // Nothing is older than the first event, and JSON has no infinity.
  return [after, afterMs === -Infinity ? null : afterMs, offset]
}

function fromRow([after, afterMs, offset]: IndexRow): SegmentInfo['index'][number] {
  return { after, afterMs: afterMs ?? -Infinity, offset }
}
