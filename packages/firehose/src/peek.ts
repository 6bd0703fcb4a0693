import { InvalidFrameError } from './errors.ts'
import { FrameScanner, uintLength, writeUint } from './frame-scan.ts'
import { MAX_SEQ } from './limits.ts'

/** What can be known of a frame without touching its blocks. Nothing in it is checked beyond its CBOR kind. */
export interface FramePeek {
  /** 1 for a message, -1 for an error. */
  readonly op: number
  /** `#commit` and so on; `undefined` in an error frame. */
  readonly type: string | undefined
  readonly seq: number | undefined
  readonly did: string | undefined
  /** Revision, of a `#commit` or `#sync`. */
  readonly rev: string | undefined
  /** Paths of a `#commit`'s operations, in wire order. */
  readonly paths: readonly string[]
}

const NO_PATHS: readonly string[] = []

/**
 * Reads type, seq, account, rev and op paths of a frame without decoding or copying its blocks.
 *
 * @throws {InvalidFrameError} when header or body cannot be scanned that far.
 */
export function peekFrame(frame: Uint8Array): FramePeek {
  const scanner = new FrameScanner(frame)
  const { op, type } = readHeader(scanner)
  let seq: number | undefined
  let did: string | undefined
  let rev: string | undefined
  let paths = NO_PATHS
  if (op === 1) {
    for (let entries = scanner.map(); entries > 0; entries--) {
      switch (scanner.text()) {
        case 'seq':
          seq = scanner.next(0) ? scanner.integer() : scanner.skip()
          break
        case 'did':
        case 'repo':
          did = optionalText(scanner)
          break
        case 'rev':
          rev = optionalText(scanner)
          break
        case 'ops':
          if (scanner.next(4)) paths = readPaths(scanner)
          else scanner.skip()
          break
        default:
          scanner.skip()
      }
    }
  }
  return { op, type, seq, did, rev, paths }
}

/**
 * The same frame with another `seq`; every other byte, known to us or not, stays as it was.
 *
 * @returns a new array; `frame` is not changed.
 * @throws {InvalidFrameError} when the frame is no message with a `seq`.
 * @throws {RangeError} when `seq` is no positive safe integer.
 */
export function patchSeq(frame: Uint8Array, seq: number): Uint8Array {
  if (!Number.isSafeInteger(seq) || seq < 1 || seq > MAX_SEQ) {
    throw new RangeError(`seq must be a positive safe integer; seq=${String(seq)}`)
  }
  const scanner = new FrameScanner(frame)
  const { op } = readHeader(scanner)
  if (op === 1) {
    for (let entries = scanner.map(); entries > 0; entries--) {
      const isSeq = scanner.text() === 'seq'
      const start = scanner.at
      scanner.skip()
      if (isSeq) return splice(frame, start, scanner.at, seq)
    }
  }
  throw new InvalidFrameError('no seq to patch')
}

function readHeader(scanner: FrameScanner): { op: number; type: string | undefined } {
  let op: number | undefined
  let type: string | undefined
  for (let entries = scanner.map(); entries > 0; entries--) {
    const key = scanner.text()
    if (key === 'op') op = scanner.integer()
    else if (key === 't') type = scanner.text()
    else scanner.skip()
  }
  if (op === undefined) throw new InvalidFrameError('header without op')
  return { op, type }
}

/** Fields of the wrong kind are left to the decoder, which knows that only this one event is at fault. */
function optionalText(scanner: FrameScanner): string | undefined {
  return scanner.next(3) ? scanner.text() : scanner.skip()
}

function readPaths(scanner: FrameScanner): string[] {
  const paths: string[] = []
  for (let count = scanner.array(); count > 0; count--) {
    if (!scanner.next(5)) {
      scanner.skip()
      continue
    }
    for (let entries = scanner.map(); entries > 0; entries--) {
      const path = scanner.text() === 'path' ? optionalText(scanner) : scanner.skip()
      if (path !== undefined) paths.push(path)
    }
  }
  return paths
}

function splice(frame: Uint8Array, start: number, end: number, seq: number): Uint8Array {
  const length = uintLength(seq)
  const patched = new Uint8Array(frame.length - (end - start) + length)
  patched.set(frame.subarray(0, start))
  writeUint(patched, start, seq)
  patched.set(frame.subarray(end), start + length)
  return patched
}
