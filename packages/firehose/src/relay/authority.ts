import type { IdentitySource } from '../verify/identity.ts'
import type { AccountRecord } from './ports.ts'

/** Whether a host may speak for an account: `undefined` when it may. */
export type AuthorityProblem = 'wrong-host' | 'unresolvable-identity' | undefined

export interface AuthorityOptions {
  readonly identity: IdentitySource
  readonly hostname: string
  /** What is known of the account. */
  readonly account: AccountRecord | undefined
  readonly signal: AbortSignal
}

/**
 * Checks that the account's DID document names this host, with one fresh look before saying no.
 *
 * An account that is known to live at the host stays there while its document cannot be had or names no host at all:
 * that is how the deletion of an account arrives.
 *
 * @throws the signal's reason when it aborts.
 */
export async function checkAuthority(
  did: string,
  { identity, hostname, account, signal }: AuthorityOptions,
): Promise<AuthorityProblem> {
  const livesHere = account?.hostname === hostname
  const known = identity.peek(did)
  if (hostOf(known?.pds) === hostname) return undefined
  let pds: string | undefined
  try {
    ;({ pds } = await identity.resolve(did, { refresh: known !== undefined, signal }))
  } catch {
    signal.throwIfAborted()
    return livesHere ? undefined : 'unresolvable-identity'
  }
  if (pds === undefined) return livesHere ? undefined : 'wrong-host'
  return hostOf(pds) === hostname ? undefined : 'wrong-host'
}

/** Host name, with a port that is not the default one, of a URL. */
function hostOf(origin: string | undefined): string | undefined {
  return origin !== undefined && URL.canParse(origin) ? new URL(origin).host : undefined
}
