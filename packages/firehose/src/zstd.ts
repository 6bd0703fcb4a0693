/**
 * Zstandard for Jetstream, from `node:zlib`.
 *
 * @packageDocumentation
 */
import { zstdDecompressSync } from 'node:zlib'
import type { DecompressZstd } from './jetstream/dictionary.ts'

export type { DecompressZstd } from './jetstream/dictionary.ts'

/** Decompresses with a dictionary. Needs a Node whose `node:zlib` takes one: 22.19, 24.6 or newer. */
export const decompressZstd: DecompressZstd = (frame, dictionary, maxBytes) =>
  zstdDecompressSync(frame, { dictionary, maxOutputLength: maxBytes })
