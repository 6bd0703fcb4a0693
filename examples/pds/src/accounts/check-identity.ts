import { getHandle, getPdsEndpoint, getSigningKey, type DidDocument } from '@skywright/identity'
import { importPrivateKey } from '@skywright/identity/keys'
import type { Account } from './account-store.ts'

/** What an account's DID document should say for the account to live here. */
export interface RecommendedCredentials {
  readonly rotationKeys: readonly string[]
  readonly alsoKnownAs: readonly string[]
  readonly verificationMethods: { readonly atproto: string }
  readonly services: {
    readonly atproto_pds: { readonly type: 'AtprotoPersonalDataServer'; readonly endpoint: string }
  }
}

/** Says it for one account. */
export function recommendCredentials(
  account: Account,
  options: { readonly rotationKey: string; readonly publicUrl: string },
): RecommendedCredentials {
  return {
    rotationKeys: [options.rotationKey],
    alsoKnownAs: [`at://${account.handle}`],
    verificationMethods: { atproto: importPrivateKey('k256', account.signingKey).didKey },
    services: {
      atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: options.publicUrl },
    },
  }
}

/** What is wrong with the DID document of an account that wants to be active here; `undefined` when nothing. */
export function findIdentityProblem(
  account: Account,
  document: DidDocument,
  options: { readonly publicUrl: string; readonly allowHttp: boolean },
): string | undefined {
  const { publicUrl, allowHttp } = options
  if (getPdsEndpoint(document, { allowHttp }) !== publicUrl) {
    return 'the DID document names another PDS'
  }
  if (getSigningKey(document)?.didKey !== importPrivateKey('k256', account.signingKey).didKey) {
    return 'the DID document has another signing key'
  }
  return getHandle(document) === undefined ? 'the DID document has no handle' : undefined
}
