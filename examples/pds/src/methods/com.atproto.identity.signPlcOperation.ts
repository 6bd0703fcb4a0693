import type { SigningKey } from '@skywright/identity/keys'
import { updatePlcOperation, type PlcClient, type PlcData } from '@skywright/identity/plc'
import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { ConfirmationStore } from '../accounts/confirmation-store.ts'
import { plcFailure } from '../accounts/plc-failure.ts'
import { requireConfirmation } from '../accounts/send-confirmation.ts'
import type { Auth } from '../sessions/auth.ts'

/**
 * Signs a change of the account's identity with this server's rotation key, for an account that leaves.
 * It takes the code that `requestPlcOperationSignature` sent, once.
 */
export function signPlcOperation(options: {
  readonly auth: Auth
  readonly confirmations: ConfirmationStore
  readonly plc: Pick<PlcClient, 'lastOperation'>
  readonly rotationKey: SigningKey
  readonly now: () => number
}): XrpcMethod {
  const { auth, confirmations, plc, rotationKey, now } = options
  return defineMethod(atproto, 'com.atproto.identity.signPlcOperation', {
    auth: auth.fullSession,
    async handler({ auth: { account }, input, signal }) {
      const { did } = account
      requireConfirmation(confirmations, did, 'plc-operation', input.token ?? '', now())
      const { rotationKeys, alsoKnownAs, verificationMethods, services } = input
      if (verificationMethods !== undefined && !isMap(verificationMethods, isText)) {
        throw new InvalidRequestError('verificationMethods must map names to did:keys')
      }
      if (services !== undefined && !isMap(services, isService)) {
        throw new InvalidRequestError('services must map names to types and endpoints')
      }
      const change: Partial<PlcData> = {
        ...(rotationKeys && { rotationKeys }),
        ...(alsoKnownAs && { alsoKnownAs }),
        ...(verificationMethods && { verificationMethods }),
        ...(services && { services }),
      }
      const operation = await plc
        .lastOperation(did, { signal })
        .then((last) => updatePlcOperation(last, change, rotationKey))
        .catch((cause: unknown) => {
          throw plcFailure(cause)
        })
      confirmations.remove(did, 'plc-operation')
      return { operation }
    },
  })
}

function isMap<T>(
  value: unknown,
  isValue: (item: unknown) => item is T,
): value is Readonly<Record<string, T>> {
  return typeof value === 'object' && value !== null && Object.values(value).every(isValue)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isService(value: unknown): value is { readonly type: string; readonly endpoint: string } {
  return isMap(value, isText) && 'type' in value && 'endpoint' in value
}
