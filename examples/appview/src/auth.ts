import {
  AuthRequiredError,
  type AuthStep,
  createServiceAuthVerifier,
  type ServiceAuthVerifierOptions,
} from '@skywright/xrpc'

/** The account on whose behalf a request is made: the issuer of its service token. */
export interface Viewer {
  readonly did: string
}

/** Who may ask. */
export interface ViewerAuth {
  /** A service token is needed. */
  readonly required: AuthStep<Viewer>
  /** A service token is checked when there is one; whether it is needed is the operator's choice. */
  readonly optional: AuthStep<Viewer | undefined>
}

export interface ViewerAuthOptions extends ServiceAuthVerifierOptions {
  /** Answer reads without a token. */
  readonly publicReads: boolean
}

/** Checks the service tokens that PDSes mint for their accounts. */
export function createViewerAuth(options: ViewerAuthOptions): ViewerAuth {
  const { publicReads, ...verification } = options
  const verifier = createServiceAuthVerifier(verification)
  const required: ViewerAuth['required'] = async (call) => {
    const { iss } = await verifier.required(call)
    return { did: iss }
  }
  return {
    required,
    async optional(call) {
      const credentials = await verifier.optional(call)
      if (credentials !== undefined) return { did: credentials.iss }
      if (!publicReads) throw new AuthRequiredError('this AppView answers signed-in accounts only')
      return undefined
    },
  }
}
