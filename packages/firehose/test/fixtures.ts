import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Folder of shared real input, beside the repository unless told otherwise. */
export const FIXTURES: string =
  process.env['SKYWRIGHT_FIXTURES'] ??
  fileURLToPath(new URL('../../../../shared/fixtures', import.meta.url))

/** Whether the shared fixtures are here; says so once where they are not. */
export function haveFixtures(folder: string): boolean {
  const present = existsSync(`${FIXTURES}/${folder}`)
  // A skipped test must be visible.
  if (!present) process.emitWarning(`fixtures not found, tests skipped; folder=${folder}`)
  return present
}

export function readFixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${FIXTURES}/${path}`))
}

/** Splits `[u32 little-endian length][frame]…`. */
export function liveFrames(): Uint8Array[] {
  const bytes = readFixture('live-firehose/frames.bin')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true)
    frames.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return frames
}
