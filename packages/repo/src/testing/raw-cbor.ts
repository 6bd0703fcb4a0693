import { encodeCbor } from '../encode-cbor.ts'

/** Gives bytes from hexadecimal digits. */
export function fromHex(hex: string): Uint8Array {
  const digits = hex.match(/../g) ?? []
  return Uint8Array.from(digits, (pair) => Number.parseInt(pair, 16))
}

/** Gives the bytes one after the other. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Gives a CBOR map of up to 23 entries exactly in this order, values already encoded. */
export function rawMap(
  entries: readonly (readonly [key: string, value: Uint8Array])[],
): Uint8Array {
  return concatBytes(
    Uint8Array.of(0xa0 | entries.length),
    ...entries.flatMap(([key, value]) => [encodeCbor(key), value]),
  )
}
