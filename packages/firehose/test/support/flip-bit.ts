import { open } from 'node:fs/promises'
import type { Random } from '../../src/testing/index.ts'

/** Flips one bit of a file, at or behind a place. */
export async function flipBit(path: string, from: number, random: Random): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    const at = from + random.integer(size - from)
    const byte = new Uint8Array(1)
    await file.read(byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ (1 << random.integer(8))
    await file.write(byte, 0, 1, at)
  } finally {
    await file.close()
  }
}
