import { writeByteString } from '../byte-string.ts'
import type { CidKey } from '../cid.ts'
import { encodeCarHeader } from './header.ts'
import { sizeOfVarint, writeVarint } from './varint.ts'

/** Gives a CAR with these roots and blocks, in the order given. */
export function formatCar(
  roots: readonly CidKey[],
  blocks: Iterable<readonly [CidKey, Uint8Array]>,
): Uint8Array {
  const header = encodeCarHeader(roots)
  const list = Array.isArray(blocks)
    ? (blocks as readonly (readonly [CidKey, Uint8Array])[])
    : [...blocks]
  let size = sizeOfVarint(header.length) + header.length
  for (const [key, block] of list) size += sectionBytes(key, block)
  const car = new Uint8Array(size)
  let at = writeVarint(car, header.length, 0)
  car.set(header, at)
  at += header.length
  for (const [key, block] of list) at = writeSection(car, at, key, block)
  return car
}

/** Gives the header of a CAR with its length before it: the first bytes of the file. */
export function formatCarHead(roots: readonly CidKey[]): Uint8Array {
  return formatCar(roots, [])
}

/** Gives the bytes one block takes in a CAR. */
export function sectionBytes(key: CidKey, block: Uint8Array): number {
  const length = key.length + block.length
  return sizeOfVarint(length) + length
}

/** Writes one block at `offset` and gives the offset behind it. */
export function writeSection(
  car: Uint8Array,
  offset: number,
  key: CidKey,
  block: Uint8Array,
): number {
  let at = writeVarint(car, key.length + block.length, offset)
  at += writeByteString(car, key, at)
  car.set(block, at)
  return at + block.length
}
