import { IdentityError } from '@skywright/identity'
import { InvalidRequestError, UpstreamFailureError, type XrpcError } from '@skywright/xrpc'

/** What to tell a client whose PLC operation failed: that it was wrong, or that the directory was not there. */
export function plcFailure(cause: unknown): XrpcError {
  if (cause instanceof IdentityError && !cause.retryable) {
    return new InvalidRequestError(`the PLC operation is not valid: ${cause.message}`, { cause })
  }
  return new UpstreamFailureError('the PLC directory could not be reached', { cause })
}
