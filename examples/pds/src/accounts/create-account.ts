import { timingSafeEqual } from 'node:crypto'
import { IdentityError, type IdentityResolver } from '@skywright/identity'
import { createPlcIdentity, type PlcClient } from '@skywright/identity/plc'
import { generatePrivateKey, parsePublicKey, type SigningKey } from '@skywright/identity/keys'
import { InvalidRequestError, UpstreamFailureError } from '@skywright/xrpc'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Account, AccountStore, NewAccount } from './account-store.ts'
import { checkLocalHandle } from './handle-policy.ts'
import { requireLocalAccount } from './local-account.ts'
import { hashPassword } from './password.ts'
import type { ForgetAccount } from './remove-account.ts'

/** What somebody who signs up tells about themselves. */
export interface SignUp {
  readonly handle: string
  readonly email?: string | undefined
  readonly password?: string | undefined
  readonly inviteCode?: string | undefined
  /** A did:key of theirs that may overrule this server in the PLC directory. */
  readonly recoveryKey?: string | undefined
}

/** The two ways to an account. */
export interface AccountCreation {
  /** A new person with a new identity; the account is active at once. */
  signUp(signUp: SignUp): Promise<Account>
  /**
   * An account that moves here from another server with the identity it has. It is deactivated, with
   * an empty repo, until its identity points here.
   *
   * @param did proven to be the caller's.
   */
  moveIn(did: string, signUp: SignUp, signal: AbortSignal): Promise<Account>
}

export interface AccountCreationOptions {
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly plc: Pick<PlcClient, 'submit'>
  readonly resolver: Pick<IdentityResolver, 'resolveHandle'>
  readonly rotationKey: SigningKey
  /** Origin of this server, for the DID document. */
  readonly publicUrl: string
  readonly handleDomains: readonly string[]
  readonly inviteCode: string | undefined
  readonly now: () => number
}

/** Shortest password accepted, characters. */
export const MIN_PASSWORD = 8
/** Longest password accepted, characters: hashing is work somebody else asks for. */
export const MAX_PASSWORD = 256
const MAX_EMAIL = 320

/**
 * Makes the ways in. An account is reserved first, invisible; then its identity enters the PLC
 * directory; then one transaction creates the repo with its events. An account without repo is
 * removed, at once or at the next start: nothing half-made is ever seen.
 *
 * Both ways throw `InvalidRequestError` (`InvalidHandle`, `HandleNotAvailable`, `UnsupportedDomain`,
 * `InvalidPassword`, `InvalidInviteCode`, or no name of its own) and `UpstreamFailureError` when the
 * directory did not take the identity.
 */
export function createAccountCreation(options: AccountCreationOptions): AccountCreation {
  const { accounts, repos, plc, resolver, rotationKey, publicUrl, handleDomains, now } = options

  /** Reserves an account, makes its repo, and gives back the reservation if that fails. */
  async function open(
    reservation: Pick<NewAccount, 'did' | 'handle' | 'signingKey'>,
    signUp: SignUp,
    finish: (account: Account) => Promise<void>,
  ): Promise<Account> {
    const { did, handle } = reservation
    const email = checkEmail(signUp.email)
    const passwordHash = await hashPassword(checkPassword(signUp.password))
    // Nobody gives an account this handle meanwhile.
    return repos.exclusively(handle, async () => {
      const conflict = accounts.create({
        ...reservation,
        ...(email === undefined ? {} : { email }),
        passwordHash,
        createdAt: now(),
      })
      if (conflict === 'email') throw new InvalidRequestError('Email already taken')
      if (conflict === 'did') throw new InvalidRequestError('Account already exists')
      if (conflict === 'handle') {
        throw new InvalidRequestError(`Handle already taken: ${handle}`, {
          error: 'HandleNotAvailable',
        })
      }
      try {
        await finish(requireLocalAccount(accounts, did))
      } catch (error) {
        accounts.remove(did)
        throw error
      }
      return requireLocalAccount(accounts, did)
    })
  }

  return {
    async signUp(signUp) {
      checkInvite(options.inviteCode, signUp.inviteCode)
      const handle = checkLocalHandle(signUp.handle, handleDomains)
      const key = generatePrivateKey('k256')
      const { did, operation } = await createPlcIdentity({
        signingKey: key.didKey,
        handle,
        pds: publicUrl,
        rotationKeys: [...checkRecoveryKey(signUp.recoveryKey), rotationKey.didKey],
        signer: rotationKey,
      })
      return open({ did, handle, signingKey: key.export() }, signUp, async (account) => {
        await plc.submit(did, operation).catch((cause: unknown) => {
          throw new UpstreamFailureError('the PLC directory did not take the identity', { cause })
        })
        await repos.create(account)
        accounts.setStatus(did, 'active')
      })
    },
    async moveIn(did, signUp, signal) {
      checkInvite(options.inviteCode, signUp.inviteCode)
      const handle = handleDomains.some((domain) => signUp.handle.toLowerCase().endsWith(domain))
        ? checkLocalHandle(signUp.handle, handleDomains)
        : await checkOwnHandle(resolver, signUp.handle, did, signal)
      const signingKey = generatePrivateKey('k256').export()
      return open({ did, handle, signingKey }, signUp, async (account) => {
        accounts.setStatus(did, 'deactivated')
        await repos.create(account, { silently: true })
      })
    },
  }
}

/** A handle of the owner's own domain, which must point at the account already. */
async function checkOwnHandle(
  resolver: Pick<IdentityResolver, 'resolveHandle'>,
  input: string,
  did: string,
  signal: AbortSignal,
): Promise<string> {
  const handle = input.toLowerCase()
  const found = await resolver.resolveHandle(handle, { signal }).catch((cause: unknown) => {
    if (cause instanceof IdentityError && !cause.retryable) return undefined
    throw new UpstreamFailureError('the handle could not be looked up', { cause })
  })
  if (found?.did === did) return handle
  throw new InvalidRequestError('External handle did not resolve to DID')
}

/** Finishes or removes sign-ups, and removes accounts whose deletion a crash interrupted; for the start of the server. */
export async function settlePendingAccounts(
  accounts: AccountStore,
  { store, forget }: Pick<RepoHost, 'store'> & { readonly forget: ForgetAccount },
): Promise<void> {
  for (const account of accounts.listUnsettled()) {
    const { did, status } = account
    if ((await store.getHead(did)) === undefined) await forget(account)
    else if (status === 'pending') accounts.setStatus(did, 'active')
  }
}

function checkInvite(expected: string | undefined, given: string | undefined): void {
  if (expected === undefined) return
  const wanted = Buffer.from(expected)
  const actual = Buffer.from(given ?? '')
  if (wanted.length !== actual.length || !timingSafeEqual(wanted, actual)) {
    throw new InvalidRequestError('Provided invite code not available', {
      error: 'InvalidInviteCode',
    })
  }
}

function checkEmail(email: string | undefined): string | undefined {
  if (email === undefined || email === '') return undefined
  if (email.length > MAX_EMAIL || !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) {
    throw new InvalidRequestError('This email address is not supported, please use a different one')
  }
  return email
}

/** @throws {InvalidRequestError} `InvalidPassword` when it is too short or too long. */
export function checkPassword(password: string | undefined): string {
  if (password === undefined || password.length < MIN_PASSWORD || password.length > MAX_PASSWORD) {
    throw new InvalidRequestError(
      `a password has from ${MIN_PASSWORD} to ${MAX_PASSWORD} characters`,
      { error: 'InvalidPassword' },
    )
  }
  return password
}

function checkRecoveryKey(key: string | undefined): readonly string[] {
  if (key === undefined) return []
  try {
    return [parsePublicKey(key).didKey]
  } catch (cause) {
    throw new InvalidRequestError('recoveryKey must be a did:key', { cause })
  }
}
