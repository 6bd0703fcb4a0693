import { timingSafeEqual } from 'node:crypto'
import { createPlcIdentity, type PlcClient } from '@skywright/identity/plc'
import { generatePrivateKey, parsePublicKey, type SigningKey } from '@skywright/identity/keys'
import { InvalidRequestError, UpstreamFailureError } from '@skywright/xrpc'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Account, AccountStore } from './account-store.ts'
import { checkLocalHandle } from './handle-policy.ts'
import { requireLocalAccount } from './local-account.ts'
import { hashPassword } from './password.ts'

/** What somebody who signs up tells about themselves. */
export interface SignUp {
  readonly handle: string
  readonly email?: string | undefined
  readonly password?: string | undefined
  readonly inviteCode?: string | undefined
  /** A did:key of theirs that may overrule this server in the PLC directory. */
  readonly recoveryKey?: string | undefined
}

/** Signs people up. */
export type CreateAccount = (signUp: SignUp) => Promise<Account>

export interface AccountCreation {
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly plc: Pick<PlcClient, 'submit'>
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
 * Makes the sign-up. The account is reserved first, invisible; then its identity enters the PLC
 * directory; then one transaction creates the repo with its events. An account without repo is
 * removed, at once or at the next start: nothing half-made is ever seen.
 *
 * Signing up throws `InvalidRequestError` (`InvalidHandle`, `HandleNotAvailable`, `UnsupportedDomain`,
 * `InvalidPassword`, `InvalidInviteCode`, or no name of its own) and `UpstreamFailureError` when the
 * directory did not take the identity.
 */
export function createAccountCreation(options: AccountCreation): CreateAccount {
  const { accounts, repos, plc, rotationKey, publicUrl, handleDomains, now } = options
  return async (signUp) => {
    checkInvite(options.inviteCode, signUp.inviteCode)
    const handle = checkLocalHandle(signUp.handle, handleDomains)
    const email = checkEmail(signUp.email)
    const password = checkPassword(signUp.password)
    const key = generatePrivateKey('k256')
    const rotationKeys = [...checkRecoveryKey(signUp.recoveryKey), rotationKey.didKey]
    const [identity, passwordHash] = await Promise.all([
      createPlcIdentity({
        signingKey: key.didKey,
        handle,
        pds: publicUrl,
        rotationKeys,
        signer: rotationKey,
      }),
      hashPassword(password),
    ])
    const { did } = identity
    const conflict = accounts.create({
      did,
      handle,
      ...(email === undefined ? {} : { email }),
      passwordHash,
      signingKey: key.export(),
      createdAt: now(),
    })
    if (conflict === 'email') throw new InvalidRequestError('Email already taken')
    if (conflict !== undefined) {
      throw new InvalidRequestError(`Handle already taken: ${handle}`, {
        error: 'HandleNotAvailable',
      })
    }
    try {
      await plc.submit(did, identity.operation).catch((cause: unknown) => {
        throw new UpstreamFailureError('the PLC directory did not take the identity', { cause })
      })
      await repos.create(requireLocalAccount(accounts, did))
    } catch (error) {
      accounts.remove(did)
      throw error
    }
    accounts.setStatus(did, 'active')
    return requireLocalAccount(accounts, did)
  }
}

/** Finishes or removes sign-ups that a crash interrupted; for the start of the server. */
export async function settlePendingAccounts(
  accounts: AccountStore,
  repos: Pick<RepoHost, 'store'>,
): Promise<void> {
  for (const { did } of accounts.listPending()) {
    if ((await repos.store.getHead(did)) === undefined) accounts.remove(did)
    else accounts.setStatus(did, 'active')
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
