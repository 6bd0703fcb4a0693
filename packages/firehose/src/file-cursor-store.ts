import { readFile } from 'node:fs/promises'
import type { CursorStore } from './cursor-store.ts'
import { LogCorruptError } from './errors.ts'
import { replaceFile } from './replace-file.ts'

/** Far more than the cursors of every relay there is. */
const MAX_FILE_BYTES = 1_000_000

export interface FileCursorStoreOptions {
  /** Path of the file; its folder must exist. One process at a time. */
  readonly path: string
}

/**
 * Cursors in one small JSON file, for programs that keep nothing else. Every change replaces the file in one step and is
 * on disk before `set` resolves.
 *
 * @throws {LogCorruptError} when the file is there and is not one of these: it is never taken for a first start.
 */
export async function openFileCursorStore({ path }: FileCursorStoreOptions): Promise<CursorStore> {
  const cursors = await readCursors(path)
  let written: Promise<void> = Promise.resolve()
  return {
    get: (source) => Promise.resolve(cursors.get(source)),
    set: (source, cursor) => {
      if (!isCursor(cursor)) {
        return Promise.reject(new RangeError(`no cursor; cursor=${String(cursor)}`))
      }
      // One after the other, and each with all that is known then.
      const write = async (): Promise<void> => {
        cursors.set(source, cursor)
        await replaceFile(path, `${JSON.stringify(Object.fromEntries(cursors))}\n`)
      }
      const result = written.then(write)
      written = result.catch(() => undefined)
      return result
    },
  }
}

async function readCursors(path: string): Promise<Map<string, number>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map()
    throw error
  }
  const cursors = parseCursors(text)
  if (cursors === undefined) throw new LogCorruptError(`no cursors in ${path}`)
  return cursors
}

function parseCursors(text: string): Map<string, number> | undefined {
  if (text.length > MAX_FILE_BYTES) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined
  const cursors = new Map<string, number>()
  for (const [source, cursor] of Object.entries(value)) {
    if (!isCursor(cursor)) return undefined
    cursors.set(source, cursor)
  }
  return cursors
}

function isCursor(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
