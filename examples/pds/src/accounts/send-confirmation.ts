import { InvalidRequestError } from '@skywright/xrpc'
import type { Logger } from '../log.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { Account } from './account-store.ts'
import type { ConfirmationPurpose, ConfirmationStore } from './confirmation-store.ts'

/** Makes a code and gets it to the owner. */
export type SendConfirmation = (account: Account, purpose: ConfirmationPurpose) => void

/** This server sends no mail: the code goes to the log, and the operator passes it on. */
export function createSendConfirmation(options: {
  readonly confirmations: ConfirmationStore
  /** By DID. */
  readonly limiter: RateLimiter
  readonly log: Logger
  readonly now: () => number
}): SendConfirmation {
  const { confirmations, limiter, log, now } = options
  return ({ did, handle, email }, purpose) => {
    limiter.consume(did)
    const code = confirmations.create(did, purpose, now())
    log.warn({ did, handle, email, purpose, code }, 'confirmation code to pass on to the owner')
  }
}

/** @throws {InvalidRequestError} `InvalidToken` or `ExpiredToken` unless the code is good. */
export function requireConfirmation(
  confirmations: ConfirmationStore,
  did: string,
  purpose: ConfirmationPurpose,
  code: string,
  nowMs: number,
): void {
  const state = confirmations.check(did, purpose, code.trim(), nowMs)
  if (state === 'good') return
  throw state === 'expired'
    ? new InvalidRequestError('Token is expired', { error: 'ExpiredToken' })
    : new InvalidRequestError('Token is invalid', { error: 'InvalidToken' })
}
