import { InvalidCursorError } from '../errors.ts'

const VERSION = 1
/** Longest cursor accepted, in characters. */
const MAX_CURSOR_LENGTH = 4_096

/** A position in an ordered result: the values of the last row, in the order's columns. */
export type CursorPosition = readonly (string | number)[]

/** Writes an opaque cursor for an order. */
export function encodeCursor(order: string, position: CursorPosition): string {
  const text = JSON.stringify([VERSION, order, ...position])
  const bytes = new TextEncoder().encode(text)
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** Reads a cursor that {@link encodeCursor} wrote for the same order. @throws {InvalidCursorError} */
export function decodeCursor(
  cursor: string,
  order: string,
  types: readonly ('string' | 'number')[],
): CursorPosition {
  if (cursor.length > MAX_CURSOR_LENGTH) throw new InvalidCursorError('too long')
  let parts: unknown
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0))
    parts = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new InvalidCursorError('malformed', { cause: error })
  }
  if (!Array.isArray(parts) || parts[0] !== VERSION) throw new InvalidCursorError('other version')
  if (parts[1] !== order) throw new InvalidCursorError('made by another query')
  const position = parts.slice(2) as unknown[]
  if (
    position.length !== types.length ||
    position.some((part, index) => typeof part !== types[index])
  )
    throw new InvalidCursorError('malformed')
  if (position.some((part) => typeof part === 'number' && !Number.isSafeInteger(part)))
    throw new InvalidCursorError('malformed')
  // Every part was compared with its type just above.
  return position as CursorPosition
}
