import { decodeEvent } from './codec.ts'
import { FirehoseError, InvalidFrameError } from './errors.ts'
import { MAX_FRAME_BYTES } from './limits.ts'
import { createMemoryChainStore } from './verify/chain-store.ts'
import type { IdentitySource } from './verify/identity.ts'
import type { VerifiedCommit } from './verify/outcome.ts'
import { createEventVerifier } from './verify/verifier.ts'

/** What became of the frames of a capture. frames = the sum of all counts. */
export interface FrameReport {
  readonly frames: number
  /** Commits and syncs that were proven, by type (`#commit`, `#sync`). */
  readonly accepted: Readonly<Record<string, number>>
  /** Proven, but not following the commit before them in the capture, by reason. */
  readonly discontinuous: Readonly<Record<string, number>>
  /** Refused, by reason. */
  readonly rejected: Readonly<Record<string, number>>
  /** Decoded events that carry no proof, by type. */
  readonly decoded: Readonly<Record<string, number>>
  /** Record operations in accepted commits. */
  readonly operations: number
  readonly elapsedMs: number
}

export interface VerifyFramesOptions {
  readonly identity: IdentitySource
  /** Told of each proven commit. */
  readonly onVerified?: (verified: VerifiedCommit, frame: Uint8Array) => void
  /** Told of each refused frame. */
  readonly onRejected?: (reason: string, frame: Uint8Array, error: Error | undefined) => void
  /** Clock in milliseconds, for revs in the future. @defaultValue Date.now */
  readonly now?: () => number
}

/**
 * Splits a capture: `[u32 little-endian length][frame]…`. Frames are views.
 *
 * @throws {InvalidFrameError} when a length is 0, passes the frame limit or the end of the file.
 */
export function* readFrameFile(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 4) throw new InvalidFrameError(`capture ends inside a length; at=${at}`)
    const length = view.getUint32(at, true)
    if (length === 0 || length > MAX_FRAME_BYTES) {
      throw new InvalidFrameError(`bad length in capture; at=${at} length=${length}`)
    }
    if (length > bytes.length - at - 4) {
      throw new InvalidFrameError(`capture ends inside a frame; at=${at} length=${length}`)
    }
    yield bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}

/** Verifies captured frames completely, one after the other, and counts what became of each. */
export async function verifyFrames(
  frames: Iterable<Uint8Array>,
  { identity, onVerified, onRejected, now = Date.now }: VerifyFramesOptions,
): Promise<FrameReport> {
  const verifier = createEventVerifier({
    identity,
    chain: createMemoryChainStore(),
    policy: 'relay',
    now,
  })
  const accepted: Record<string, number> = {}
  const discontinuous: Record<string, number> = {}
  const rejected: Record<string, number> = {}
  const decoded: Record<string, number> = {}
  let operations = 0
  let total = 0
  const reject = (reason: string, frame: Uint8Array, error: Error | undefined): void => {
    count(rejected, reason)
    onRejected?.(reason, frame, error)
  }
  const started = performance.now()
  for (const frame of frames) {
    total++
    let event: ReturnType<typeof decodeEvent>
    try {
      event = decodeEvent(frame)
    } catch (error) {
      if (!(error instanceof FirehoseError)) throw error
      reject(error.code, frame, error)
      continue
    }
    if (event.type !== 'commit' && event.type !== 'sync') {
      count(decoded, `#${event.type}`)
      continue
    }
    const outcome = await verifier.verify(event)
    if (outcome.status === 'rejected') {
      reject(outcome.reason, frame, outcome.error)
      continue
    }
    await verifier.settle(outcome.verified)
    if (event.type === 'commit') operations += event.ops.length
    if (outcome.status === 'accepted') count(accepted, `#${event.type}`)
    else count(discontinuous, outcome.reason)
    onVerified?.(outcome.verified, frame)
  }
  const elapsedMs = performance.now() - started
  return { frames: total, accepted, discontinuous, rejected, decoded, operations, elapsedMs }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
