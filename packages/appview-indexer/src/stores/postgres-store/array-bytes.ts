import type { ColumnSchema } from '../../schema.ts'

/** Element types of array parameters. */
export type ElementType = 'bigint' | 'int' | 'text' | 'bytea'

const OIDS: Readonly<Record<ElementType, number>> = { bigint: 20, int: 23, text: 25, bytea: 17 }
/** Dimensions, whether there are nulls, element type; then length and lower bound of the one dimension. */
const HEADER_BYTES = 20
/** A length before each element; this one says that it is null. */
const LENGTH_BYTES = 4
const NULL_LENGTH = -1
const TWO_TO_32 = 2 ** 32

/**
 * An array parameter of one dimension in the binary form of the protocol. Batches bind tens of thousands of values: as
 * text the driver would look at each several times, and the server would parse each.
 */
export function arrayBytes(type: ElementType, values: readonly unknown[]): Buffer {
  let size = HEADER_BYTES
  for (const value of values) size += LENGTH_BYTES + maxBytes(value)
  const bytes = Buffer.allocUnsafe(size)
  const view = new DataView(bytes.buffer, bytes.byteOffset, size)
  let at = HEADER_BYTES
  let nulls = 0
  for (const value of values) {
    const start = at + LENGTH_BYTES
    let length = NULL_LENGTH
    if (value === null || value === undefined) nulls = 1
    else length = writeElement(type, value, bytes, view, start)
    view.setInt32(at, length)
    at = length === NULL_LENGTH ? start : start + length
  }
  view.setInt32(0, values.length === 0 ? 0 : 1)
  view.setInt32(4, nulls)
  view.setInt32(8, OIDS[type])
  view.setInt32(12, values.length)
  view.setInt32(16, 1)
  return bytes.subarray(0, values.length === 0 ? 12 : at)
}

/** How the values of a declared column are bound. */
export function valueType({ kind }: Pick<ColumnSchema, 'kind'>): ElementType {
  return kind === 'text' || kind === 'json' ? 'text' : 'bigint'
}

/** Columns of rows as array parameters. */
export function columnsBytes<T>(
  rows: readonly T[],
  columns: readonly (readonly [ElementType, (row: T) => unknown])[],
): Buffer[] {
  return columns.map(([type, valueOf]) => arrayBytes(type, rows.map(valueOf)))
}

/** More than enough room: a character takes at most three bytes in UTF-8. */
function maxBytes(value: unknown): number {
  if (typeof value === 'string') return value.length * 3
  return value instanceof Uint8Array ? value.length : 8
}

function writeElement(
  type: ElementType,
  value: unknown,
  bytes: Buffer,
  view: DataView,
  at: number,
): number {
  if (typeof value === 'string' && type === 'text') return bytes.write(value, at, 'utf8')
  if (value instanceof Uint8Array && type === 'bytea') {
    bytes.set(value, at)
    return value.length
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError(`not a ${type}: ${typeof value}`)
  if (type === 'bigint') {
    view.setInt32(at, Math.floor(value / TWO_TO_32))
    view.setUint32(at + 4, value >>> 0)
    return 8
  }
  if (type !== 'int' || (value | 0) !== value) throw new TypeError(`not a ${type}: ${typeof value}`)
  view.setInt32(at, value)
  return 4
}
