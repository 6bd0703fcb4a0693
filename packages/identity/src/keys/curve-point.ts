import type { Curve } from './key.ts'

/** y² = x³ + ax + b over the integers modulo p. */
interface CurveEquation {
  readonly p: bigint
  readonly a: bigint
  readonly b: bigint
  /** p in limbs. */
  readonly limbs: readonly number[]
}

const LIMB_BITS = 28
const LIMB_MASK = (1 << LIMB_BITS) - 1
/** Enough for 256 bits and a carry. */
const LIMBS = 10
const COORDINATE_BYTES = 32

const EQUATIONS: Readonly<Record<Curve, CurveEquation>> = {
  k256: equation(0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn, 0n, 7n),
  p256: equation(
    0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    -3n,
    0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  ),
}

/**
 * True when 33 bytes are a compressed point of the curve: the right first byte, an x below p, and x³ + ax + b a square.
 * Whether it is a square is told by the Jacobi symbol, which costs a tenth of the square root itself. Both curves have
 * prime order, so every such point is usable.
 */
export function isCompressedPoint(curve: Curve, bytes: Uint8Array): boolean {
  if (bytes.length !== COORDINATE_BYTES + 1 || (bytes[0] !== 2 && bytes[0] !== 3)) return false
  const { p, a, b, limbs } = EQUATIONS[curve]
  const x = readNumber(bytes, 1)
  if (x >= p) return false
  const square = (((x * x) % p) * x + a * x + b) % p
  return jacobi(toLimbs(square < 0n ? square + p : square), [...limbs]) === 1
}

/** True when 65 bytes are an uncompressed point of the curve. */
export function isUncompressedPoint(curve: Curve, bytes: Uint8Array): boolean {
  if (bytes.length !== 2 * COORDINATE_BYTES + 1 || bytes[0] !== 4) return false
  const { p, a, b } = EQUATIONS[curve]
  const x = readNumber(bytes, 1)
  const y = readNumber(bytes, 1 + COORDINATE_BYTES)
  return x < p && y < p && (y * y - (x * x * x + a * x + b)) % p === 0n
}

/**
 * Jacobi symbol of two numbers in limbs, the second odd; both are consumed. Binary: halves while even, and subtracts
 * the smaller from the larger, keeping the sign by quadratic reciprocity.
 */
function jacobi(numerator: number[], denominator: number[]): number {
  let a = numerator
  let n = denominator
  let sign = 1
  let length = LIMBS
  for (;;) {
    while (length > 1 && a[length - 1] === 0 && n[length - 1] === 0) length--
    if (isZero(a, length)) return isOne(n, length) ? sign : 0
    const zeros = dropTrailingZeros(a, length)
    const low = limb(n, 0)
    // 2 is a non-square modulo 3 and 5 modulo 8.
    if ((zeros & 1) === 1 && ((low & 7) === 3 || (low & 7) === 5)) sign = -sign
    if (isLess(a, n, length)) {
      ;[a, n] = [n, a]
      if ((limb(a, 0) & limb(n, 0) & 3) === 3) sign = -sign
    }
    subtract(a, n, length)
  }
}

function limb(number: readonly number[], index: number): number {
  return number[index] ?? 0
}

function isZero(number: readonly number[], length: number): boolean {
  for (let i = 0; i < length; i++) if (number[i] !== 0) return false
  return true
}

function isOne(number: readonly number[], length: number): boolean {
  if (number[0] !== 1) return false
  for (let i = 1; i < length; i++) if (number[i] !== 0) return false
  return true
}

function isLess(a: readonly number[], b: readonly number[], length: number): boolean {
  for (let i = length - 1; i >= 0; i--) {
    const difference = limb(a, i) - limb(b, i)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** a -= b, for a ≥ b. */
function subtract(a: number[], b: readonly number[], length: number): void {
  let borrow = 0
  for (let i = 0; i < length; i++) {
    const difference = limb(a, i) - limb(b, i) + borrow
    a[i] = difference & LIMB_MASK
    borrow = difference >> LIMB_BITS
  }
}

/** Halves a non-zero number until it is odd; how often. */
function dropTrailingZeros(a: number[], length: number): number {
  let zeros = 0
  while (a[0] === 0) {
    a.copyWithin(0, 1, length)
    a[length - 1] = 0
    zeros += LIMB_BITS
  }
  const low = limb(a, 0)
  const shift = 31 - Math.clz32(low & -low)
  if (shift === 0) return zeros
  const up = LIMB_BITS - shift
  for (let i = 0; i < length - 1; i++) {
    a[i] = (limb(a, i) >> shift) | ((limb(a, i + 1) << up) & LIMB_MASK)
  }
  a[length - 1] = limb(a, length - 1) >> shift
  return zeros + shift
}

function readNumber(bytes: Uint8Array, offset: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, COORDINATE_BYTES)
  return (
    (view.getBigUint64(0) << 192n) |
    (view.getBigUint64(8) << 128n) |
    (view.getBigUint64(16) << 64n) |
    view.getBigUint64(24)
  )
}

function toLimbs(value: bigint): number[] {
  const limbs: number[] = []
  for (let i = 0, rest = value; i < LIMBS; i++) {
    limbs.push(Number(BigInt.asUintN(LIMB_BITS, rest)))
    rest >>= BigInt(LIMB_BITS)
  }
  return limbs
}

function equation(p: bigint, a: bigint, b: bigint): CurveEquation {
  return { p, a, b, limbs: toLimbs(p) }
}
