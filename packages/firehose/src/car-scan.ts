import { asCid, decodeCborPrefix, type Cid } from '@skywright/repo'

/** Bytes of the CIDs of the protocol: version, codec, hash, length, 32 bytes of digest. */
const CID_BYTES = 36

/** A CAR whose sections cannot be found. Counts like the CAR errors of `@skywright/repo`. */
class CarScanError extends Error {
  override readonly name = 'CarScanError'
  readonly code = 'InvalidCar'
}

/** A CAR seen from outside: its root and where its blocks are. No hash is checked. */
export interface ScannedCar {
  readonly root: Cid | undefined
  /** The block under a CID, unchecked; a view. */
  get(cid: Cid): Uint8Array | undefined
}

/**
 * Finds the sections of a CAR without checking any of them, for readers that trust the sender or prove it elsewhere.
 *
 * @throws an error with `code` `InvalidCar` when sections do not fit.
 */
export function scanCar(car: Uint8Array): ScannedCar {
  const header = varint(car, 0)
  const { value, end } = decodeCborPrefix(car, header.end)
  if (end !== header.end + header.value) throw new CarScanError('CAR header has another length')
  const roots: unknown = isObject(value) ? value['roots'] : undefined
  const blocks = new Map<string, Uint8Array>()
  for (let at = end; at < car.length;) {
    const section = varint(car, at)
    const block = section.end + CID_BYTES
    at = section.end + section.value
    if (at > car.length || at < block) throw new CarScanError('CAR section truncated')
    blocks.set(keyOf(car, section.end), car.subarray(block, at))
  }
  return {
    root: Array.isArray(roots) && roots.length === 1 ? asCid(roots[0]) : undefined,
    get: ({ bytes }) => (bytes.length === CID_BYTES ? blocks.get(keyOf(bytes, 0)) : undefined),
  }
}

function keyOf(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + CID_BYTES))
}

function varint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) break
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return { value, end: at + i + 1 }
  }
  throw new CarScanError('bad length in CAR')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object'
}
