import { getPdsEndpoint, type DidDocument, type IdentityResolver } from '@skywright/identity'
import type { Account, AccountStatus } from './account-store.ts'

/** What the network may be told about an account's state. */
export interface PublicStatus {
  readonly active: boolean
  readonly status?: Exclude<AccountStatus, 'active' | 'pending'>
}

/** The account's state in the vocabulary of sessions, `listRepos` and `#account` events. */
export function publicStatus({ status }: Pick<Account, 'status'>): PublicStatus {
  return status === 'active' || status === 'pending' ? { active: true } : { active: false, status }
}

/** What every session answer says about its account. */
export interface SessionView extends PublicStatus {
  readonly did: string
  readonly handle: string
  readonly email?: string
  readonly emailConfirmed: boolean
  readonly emailAuthFactor: boolean
  readonly didDoc?: DidDocument
}

/** Milliseconds a session answer waits for the DID document before it goes without. */
const DID_DOCUMENT_TIMEOUT_MS = 2_000

/** Describes an account to its owner. */
export type ViewSession = (account: Account) => Promise<SessionView>

/**
 * Makes the description, with the DID document when that can be had quickly. Clients go where the
 * document says, so it is left out while it names another server: an account that moves in would
 * be sent back.
 */
export function createSessionView(options: {
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  readonly publicUrl: string
}): ViewSession {
  const { resolver, publicUrl } = options
  return async (account) => {
    const didDoc = await resolver
      .resolveDid(account.did, { signal: AbortSignal.timeout(DID_DOCUMENT_TIMEOUT_MS) })
      .then(({ document }) => document)
      // The client knows its way to this server already: a document nobody can fetch now is left out.
      .catch(() => undefined)
    const isHere = didDoc !== undefined && getPdsEndpoint(didDoc, { allowHttp: true }) === publicUrl
    return {
      did: account.did,
      handle: account.handle,
      ...(account.email === undefined ? {} : { email: account.email }),
      emailConfirmed: false,
      emailAuthFactor: false,
      ...publicStatus(account),
      ...(isHere ? { didDoc } : {}),
    }
  }
}
