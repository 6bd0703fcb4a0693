/**
 * An array parameter as Postgres reads it, of numbers, texts, bytes and nulls, one dimension. Batches bind tens of thousands
 * of values; the driver's own conversion looks at each of them several times.
 */
export function arrayText(values: readonly unknown[]): string {
  let text = '{'
  for (let at = 0; at < values.length; at++) {
    if (at > 0) text += ','
    text += elementText(values[at])
  }
  return `${text}}`
}

/** Parameters with every array spelled out. */
export function boundValues(parameters: readonly unknown[]): unknown[] {
  return parameters.map((value) => (Array.isArray(value) ? arrayText(value) : value))
}

function elementText(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (value === null || value === undefined) return 'NULL'
  if (value instanceof Uint8Array)
    return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`
  if (typeof value !== 'string') throw new TypeError('an array of numbers, texts and bytes')
  return `"${SPECIAL.test(value) ? value.replaceAll(/["\\]/g, (char) => `\\${char}`) : value}"`
}

const SPECIAL = /["\\]/
