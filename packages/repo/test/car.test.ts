import { fromUint8Array } from '@atcute/car'
import { readCar as readReferenceCar } from '@atproto/repo'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  type Block,
  cidForCbor,
  cidForRaw,
  decodeCar,
  encodeCar,
  encodeCbor,
  InvalidCarError,
  LimitExceededError,
  readCar,
  RepoError,
  writeCar,
} from '../src/index.ts'
import { readVarint, sizeOfVarint, writeVarint } from '../src/car/varint.ts'

function block(n: number): Block {
  const bytes = encodeCbor({ n, text: 'x'.repeat(n) })
  return { cid: cidForCbor(bytes), bytes }
}

const blocks = Array.from({ length: 20 }, (_, n) => block(n * 13))
const roots = [blocks[0]!.cid]
const car = encodeCar(roots, blocks)

async function readAll(
  source: Iterable<Uint8Array> | Uint8Array,
  limits = {},
): Promise<readonly string[]> {
  const reader = await readCar(source, limits)
  const found: string[] = []
  for await (const { cid, bytes } of reader.blocks) {
    expect(cidForCbor(bytes).toString()).toBe(cid.toString())
    found.push(cid.toString())
  }
  return found
}

describe('CAR files', () => {
  it('are read back from memory and from any chunks, in order', async () => {
    const names = blocks.map(({ cid }) => cid.toString())
    const decoded = decodeCar(car)
    expect(decoded.roots.map(String)).toEqual(roots.map(String))
    expect([...decoded.blocks].map(({ cid }) => cid.toString())).toEqual(names)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1 }),
        async (sizes) => {
          const chunks: Uint8Array[] = []
          for (let at = 0, i = 0; at < car.length; i++) {
            const size = sizes[i % sizes.length]! + (i % 7 === 6 ? 1 : 0)
            chunks.push(car.subarray(at, at + size))
            at += size
          }
          expect(await readAll(chunks)).toEqual(names)
        },
      ),
    )
  })

  it('are those of other implementations, both ways', async () => {
    const names = blocks.map(({ cid }) => cid.toString())
    const theirs = await readReferenceCar(car)
    expect(theirs.roots.map(String)).toEqual(roots.map(String))
    expect(
      theirs.blocks
        .entries()
        .map(({ cid }) => cid.toString())
        .toSorted(),
    ).toEqual(names.toSorted())
    expect([...fromUint8Array(car)].length).toBe(blocks.length)
  })

  it('are written as chunks with the same bytes, only as fast as they are taken', async () => {
    let asked = 0
    const many = Array.from({ length: 400 }, (_, n) => block(n))
    function* source(): Generator<Block, void, void> {
      for (const item of many) {
        asked++
        yield item
      }
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of writeCar(roots, source())) {
      if (chunks.length === 1) expect(asked).toBeLessThan(400)
      chunks.push(chunk)
    }
    expect(chunks.length).toBeGreaterThan(2)
    expect(Buffer.compare(Buffer.concat(chunks), encodeCar(roots, many))).toBe(0)
  })

  it('take several roots, unknown header keys, duplicates and blocks of foreign kinds', async () => {
    const header = encodeCbor({
      roots: [blocks[0]!.cid, cidForRaw(new Uint8Array(1))],
      version: 1,
      extra: [1],
    })
    const foreign = Buffer.concat([
      Buffer.from('01550004', 'hex'),
      Buffer.from('abcd'),
      Buffer.from('whatever'),
    ])
    const sections = car.subarray(59)
    const made = new Uint8Array(
      Buffer.concat([
        Buffer.of(header.length),
        header,
        sections,
        Buffer.of(foreign.length),
        foreign,
        sections,
      ]),
    )
    const decoded = decodeCar(made)
    expect(decoded.roots.length).toBe(2)
    expect(decoded.blocks.size).toBe(blocks.length)
    expect((await readAll([made])).length).toBe(blocks.length * 2)
  })

  it.each<[string, (valid: Uint8Array) => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['a header of length zero', () => Uint8Array.of(0)],
    ['a header cut off', (valid) => valid.subarray(0, 30)],
    [
      'a header that claims 2^50 bytes',
      () => Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02),
    ],
    ['garbage for a header', () => Uint8Array.of(3, 1, 2, 3)],
    [
      'a header with unsorted keys',
      () => Uint8Array.of(18, ...Buffer.from('a26776657273696f6e0165726f6f747380', 'hex')),
    ],
    ['a section cut off in its length', (valid) => Uint8Array.of(...valid, 0x80)],
    ['a section cut off in its cid', (valid) => Uint8Array.of(...valid, 40, 1, 0x71)],
    ['a section of a cid only in part', (valid) => Uint8Array.of(...valid, 3, 1, 0x71, 0x12)],
    ['a section of cid version 5', (valid) => Uint8Array.of(...valid, 6, 5, 0x71, 0x12, 2, 0, 0)],
    ['a length longer than needed', (valid) => Uint8Array.of(...valid, 0x80, 0)],
    [
      'a length of ten bytes',
      (valid) => Uint8Array.of(...valid, ...new Uint8Array(9).fill(0xff), 1),
    ],
    [
      'a length beyond 2^53',
      (valid) => Uint8Array.of(...valid, ...new Uint8Array(8).fill(0xff), 0x7f),
    ],
    [
      'a changed byte',
      (valid) => valid.map((byte, at) => (at === valid.length - 1 ? byte ^ 1 : byte)),
    ],
  ])('are refused with %s', async (_defect, mutate) => {
    const made = mutate(car)
    expect(() => decodeCar(made)).toThrow(RepoError)
    for (const source of [[made], [...made].map((byte) => Uint8Array.of(byte))]) {
      await expect(readAll(source)).rejects.toThrow(RepoError)
    }
  })

  it('are refused at every truncation but between sections', async () => {
    const whole = new Set<number>()
    for (let count = 0; count <= 3; count++)
      whole.add(encodeCar(roots, blocks.slice(0, count)).length)
    const part = encodeCar(roots, blocks.slice(0, 3))
    for (let end = 0; end < part.length; end++) {
      if (whole.has(end)) continue
      expect(() => decodeCar(part.subarray(0, end))).toThrow(InvalidCarError)
      await expect(readAll([part.subarray(0, end)])).rejects.toThrow(InvalidCarError)
    }
  })

  it('are refused past the bounds, before more is read', async () => {
    expect(() => decodeCar(car, { maxBytes: car.length - 1 })).toThrow(LimitExceededError)
    expect(() => decodeCar(car, { maxBlocks: 19 })).toThrow(LimitExceededError)
    expect(() => decodeCar(car, { maxBlockBytes: 100 })).toThrow(LimitExceededError)
    await expect(readAll([car], { maxBytes: car.length - 1 })).rejects.toThrow(LimitExceededError)
    await expect(readAll([car], { maxBlocks: 19 })).rejects.toThrow(LimitExceededError)
    await expect(readAll([car], { maxBlockBytes: 100 })).rejects.toThrow(LimitExceededError)
    let taken = 0
    function* endless(): Generator<Uint8Array, void, void> {
      yield car.subarray(0, 59)
      yield Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x01)
      for (;;) {
        taken++
        yield new Uint8Array(65_536)
      }
    }
    await expect(readAll(endless())).rejects.toThrow(LimitExceededError)
    expect(taken).toBeLessThan(3)
  })

  it('throw nothing but our errors on garbage', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(car.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        async (at, noise) => {
          const made = car.slice()
          made.set(noise.subarray(0, made.length - at), at)
          const outcomes = [
            await readAll([made]).then(
              () => 'ok',
              (error: unknown) =>
                error instanceof RepoError ? error.code : Promise.reject(error as Error),
            ),
          ]
          expect(outcomes.length).toBe(1)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('varints', () => {
  it('are read back', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = new Uint8Array(9)
        const end = writeVarint(bytes, value, 0)
        expect(end).toBe(sizeOfVarint(value))
        const cursor = { at: 0 }
        expect(readVarint(bytes, cursor, bytes.length)).toBe(value)
        expect(cursor.at).toBe(end)
      }),
    )
  })
})
