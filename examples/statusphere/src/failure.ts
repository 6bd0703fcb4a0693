import { IdentityError } from '@skywright/identity'
import { ConnectionError, ValidationError, XrpcError } from '@skywright/xrpc'

/** What a page says about an error, and the status it says it with. */
export interface Failure {
  readonly status: number
  readonly problem: string
}

/** Something the visitor did that does not work, in words for them. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number
  constructor(status: number, problem: string, options?: ErrorOptions) {
    super(problem, options)
    this.status = status
  }
}

const FAILURES: Readonly<Record<string, string>> = {
  AuthFactorTokenRequired: 'This account wants a second factor: use an app password instead.',
  AccountTakedown: 'The account was taken down by its PDS.',
  RateLimitExceeded: 'Too many attempts. Try again in a few minutes.',
}

/** Finds words for an error. Status 500 is for those that nobody expected. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof RefusedError) return { status: error.status, problem: error.message }
  if (error instanceof ValidationError)
    return { status: 400, problem: 'A status is one emoji, and nothing else.' }
  if (error instanceof IdentityError)
    return error.family === 'CouldNotAsk'
      ? {
          status: 502,
          problem: 'No account of this name was found. Check the name, or try again later.',
        }
      : { status: 400, problem: 'There is no account of this name.' }
  if (error instanceof ConnectionError)
    return { status: 502, problem: 'The PDS of this account did not answer. Try again.' }
  if (error instanceof XrpcError) {
    const status = error.status < 500 ? error.status : 502
    const usual =
      status === 401
        ? 'Your PDS let you in no longer. Please sign in again.'
        : 'The PDS of this account refused.'
    return { status, problem: FAILURES[error.error] ?? usual }
  }
  // Express and its body parser put a status on what is the fault of the request.
  const { status } = (error ?? {}) as { readonly status?: unknown }
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { status, problem: status === 413 ? 'That is too long.' : 'That did not make sense.' }
  return { status: 500, problem: 'That did not work.' }
}
