import { IdentityError } from '@skywright/identity'
import { ConnectionError, ValidationError } from '@skywright/xrpc'

/** What the page says about an error, and the status it is answered with: 500 when nobody expected it. */
export function describeFailure(error: unknown): readonly [status: number, problem: string] {
  if (error instanceof ValidationError) return [400, 'A status is one emoji, and nothing else.']
  if (error instanceof IdentityError)
    return [error.family === 'CouldNotAsk' ? 502 : 400, 'No account of this name was found.']
  if (error instanceof ConnectionError) return [502, 'The PDS of this account did not answer.']
  // Of a PDS, of express, or thrown by the routes themselves.
  const { status = 500, message } = error as { status?: number; message: string }
  return status < 500 ? [status, message] : [500, 'That did not work.']
}
