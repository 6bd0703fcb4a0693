import type { CommitEvent, SyncEvent } from '../event.ts'
import type { AccountIdentity, IdentitySource, SigningKey } from './identity.ts'
import type { Outcome } from './outcome.ts'
import type { Proven } from './prove.ts'
import { asError, rejectReason } from './reasons.ts'

/** Proves one event with a key; `frame` is what the event was decoded from, where that is at hand. */
export type Prove = (
  event: CommitEvent | SyncEvent,
  key: SigningKey,
  frame: Uint8Array | undefined,
) => Proven | Promise<Proven>

type Rejected = Extract<Outcome, { status: 'rejected' }>

interface ProveAsOptions {
  readonly identity: IdentitySource
  readonly prove: Prove
  /** Host name the event was read from: it must be the account's PDS. */
  readonly host?: string | undefined
  readonly frame?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
}

/** Refusals that a change of key or host would explain: worth one fresh look. */
const IDENTITY_REASONS: ReadonlySet<string> = new Set([
  'bad-signature',
  'no-signing-key',
  'wrong-host',
])

/**
 * Proves an event as its account's: identity, host and proof, with one fresh look at the identity when the known one does
 * not fit.
 *
 * @throws the signal's reason when it aborts while the identity is being resolved.
 */
export async function proveAs(
  event: CommitEvent | SyncEvent,
  options: ProveAsOptions,
): Promise<Proven | Rejected> {
  const { identity: source, signal } = options
  let refreshed = false
  let identity = source.peek(event.did)
  for (;;) {
    if (identity === undefined) {
      try {
        identity = await source.resolve(event.did, {
          refresh: refreshed,
          ...(signal === undefined ? {} : { signal }),
        })
      } catch (error) {
        signal?.throwIfAborted()
        return { status: 'rejected', reason: 'unresolvable-identity', error: asError(error) }
      }
    }
    const rejected = await tryIdentity(event, identity, options)
    if (!('status' in rejected)) return rejected
    if (refreshed || !IDENTITY_REASONS.has(rejected.reason)) return rejected
    refreshed = true
    identity = undefined
  }
}

async function tryIdentity(
  event: CommitEvent | SyncEvent,
  { signingKey, pds }: AccountIdentity,
  { prove, host, frame }: ProveAsOptions,
): Promise<Proven | Rejected> {
  if (host !== undefined && hostOf(pds) !== host)
    return { status: 'rejected', reason: 'wrong-host' }
  if (signingKey === undefined) return { status: 'rejected', reason: 'no-signing-key' }
  try {
    return await prove(event, signingKey, frame)
  } catch (error) {
    return { status: 'rejected', reason: rejectReason(error, event), error: asError(error) }
  }
}

function hostOf(origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
