/**
 * Zstandard for Jetstream, from `node:zlib`.
 *
 * @packageDocumentation
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { CompressZstd, DecompressZstd } from './jetstream/dictionary.ts'

export type { CompressZstd, DecompressZstd } from './jetstream/dictionary.ts'

/** Decompresses with a dictionary. Needs a Node whose `node:zlib` takes one: 22.19, 24.6 or newer. */
export const decompressZstd: DecompressZstd = (frame, dictionary, maxBytes) =>
  zstdDecompressSync(frame, { dictionary, maxOutputLength: maxBytes })

/** Compresses with a dictionary. Needs the same Node. */
export const compressZstd: CompressZstd = (bytes, dictionary) =>
  zstdCompressSync(bytes, { dictionary })
