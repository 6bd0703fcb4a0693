import { InvalidCursorError, InvalidLabelersError } from '@skywright/appview-indexer'
import type { AcceptedLabelers } from '@skywright/appview-indexer'
import {
  defineMethod,
  InvalidRequestError,
  type LabelerPreference,
  type MethodContext,
  type MethodIds,
  type MethodOptions,
  type OutputOf,
  reply,
  type XrpcMethod,
  type XrpcReply,
  type XrpcRequest,
} from '@skywright/xrpc'
import { atproto, type AtprotoDocuments } from '@skywright/xrpc/lexicons'
import type { Viewer, ViewerAuth } from './auth.ts'
import type { AppIndex } from './collections.ts'
import type { Caller } from './hydration/hydration.ts'

type QueryId = MethodIds<AtprotoDocuments, 'query'>
type Output<N extends QueryId> = OutputOf<AtprotoDocuments, N, 'provide'>

/** What the handler of a query gets; `V` is the viewer's DID. */
export type QueryCall<N extends QueryId, V> = Pick<
  MethodContext<AtprotoDocuments, N, unknown>,
  'params' | 'signal'
> & {
  readonly viewer: V
  /** The viewer, with the labelers that the request wants to hear. */
  readonly caller: Caller
}

/**
 * Defines the queries of this server, with what every answer has in common: the viewer out of the service token,
 * `atproto-repo-rev`, the labelers of `atproto-accept-labelers` and those that are heard in `atproto-content-labelers`, and
 * a 400 for a cursor of somebody else.
 */
export interface AppQuery {
  /** A query that may be asked without an account. */
  open<const N extends QueryId>(
    nsid: N,
    handler: (call: QueryCall<N, string | undefined>) => Promise<Output<N>>,
  ): XrpcMethod
  /** A query about the account that asks. */
  signedIn<const N extends QueryId>(
    nsid: N,
    handler: (call: QueryCall<N, string>) => Promise<Output<N>>,
  ): XrpcMethod
}

/** See {@link AppQuery}. `defaults` are heard where a request names no labelers. */
export function createAppQuery(
  index: AppIndex,
  auth: ViewerAuth,
  defaults: readonly LabelerPreference[],
): AppQuery {
  /**
   * `atproto-repo-rev` says up to which revision the viewer's own repository is in the answer; a PDS merges
   * the newer writes in. Read before the handler reads: a write indexed in between is merged twice, not missed.
   */
  async function answer(
    viewer: string | undefined,
    request: XrpcRequest,
    handle: (caller: Caller) => Promise<unknown>,
  ): Promise<object | XrpcReply> {
    const labelers = await accept(request)
    const rev = viewer === undefined ? undefined : (await index.actor(viewer))?.rev
    try {
      // Every query of this server answers a JSON object.
      const body = (await handle({ did: viewer, labelers })) as object
      const headers = {
        ...(rev === undefined ? {} : { 'atproto-repo-rev': rev }),
        ...(labelers.header === '' ? {} : { 'atproto-content-labelers': labelers.header }),
      }
      return Object.keys(headers).length === 0 ? body : reply(body, { headers })
    } catch (error) {
      if (error instanceof InvalidCursorError)
        throw new InvalidRequestError('cursor is not one of this query', { cause: error })
      throw error
    }
  }
  async function accept({ headers }: XrpcRequest): Promise<AcceptedLabelers> {
    try {
      return await index.acceptLabelers(headers.get('atproto-accept-labelers'), defaults)
    } catch (error) {
      if (error instanceof InvalidLabelersError)
        throw new InvalidRequestError(error.message, { cause: error })
      throw error
    }
  }
  // MethodResult depends on N, so the compiler cannot follow it here; the signatures above pin both sides.
  return {
    open<const N extends QueryId>(
      nsid: N,
      handler: (call: QueryCall<N, string | undefined>) => Promise<Output<N>>,
    ): XrpcMethod {
      return defineMethod(atproto, nsid, {
        auth: auth.optional,
        handler: (call: MethodContext<AtprotoDocuments, N, Viewer | undefined>) => {
          const viewer = call.auth?.did
          const { params, signal, request } = call
          return answer(viewer, request, (caller) => handler({ params, signal, viewer, caller }))
        },
      } as MethodOptions<AtprotoDocuments, N, Viewer | undefined>)
    },
    signedIn<const N extends QueryId>(
      nsid: N,
      handler: (call: QueryCall<N, string>) => Promise<Output<N>>,
    ): XrpcMethod {
      return defineMethod(atproto, nsid, {
        auth: auth.required,
        handler: (call: MethodContext<AtprotoDocuments, N, Viewer>) => {
          const viewer = call.auth.did
          const { params, signal, request } = call
          return answer(viewer, request, (caller) => handler({ params, signal, viewer, caller }))
        },
      } as MethodOptions<AtprotoDocuments, N, Viewer>)
    },
  }
}
