import { getPdsEndpoint, getSigningKey } from '@skywright/identity'
import type { IdentityResolver } from '@skywright/identity'
import { decodeCbor } from '@skywright/repo/cbor'
import { verifyRecordProof } from '@skywright/repo'
import { collect } from '../../body.ts'
import { toJson } from '../../data-model.ts'
import { readErrorResponse } from '../../error-response.ts'
import { InvalidLexiconError } from '../../errors.ts'
import type { FetchLike } from '../../fetch-like.ts'
import { isNsid } from './render.ts'

/** A record proof: a record of 1 MB and the nodes on the way to it. */
const MAX_PROOF_BYTES = 4_000_000
const COLLECTION = 'com.atproto.lexicon.schema'

/** Options of {@link resolveLexicon}. */
export interface ResolveLexiconOptions {
  /** TXT records of a name, each as its strings. None: empty, or an error with Node's code `ENOTFOUND` or `ENODATA`. */
  readonly resolveTxt: (name: string) => Promise<readonly (readonly string[])[]>
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** Fetches from a host that the publisher names, so it has to refuse private addresses. */
  readonly fetch: FetchLike
  /** Accepts a PDS on `http:` (development). @defaultValue false */
  readonly allowHttp?: boolean
  readonly signal?: AbortSignal
}

/** A published lexicon document, and who published it. */
export interface ResolvedLexicon {
  readonly document: unknown
  readonly did: string
  /** Repository revision that the proof is of. */
  readonly rev: string
}

/**
 * Finds a published lexicon: DNS names the DID of its authority, whose repository has the document. Presence in that
 * repository is proven by signature and tree; names above or below the authority are not tried.
 *
 * @throws {InvalidLexiconError} when it is not published, or not as it should be
 * @throws what the resolver, `fetch` and the proof of `@skywright/repo` throw
 * @see {@link https://atproto.com/specs/lexicon#lexicon-publication-and-resolution}
 */
export async function resolveLexicon(
  nsid: string,
  options: ResolveLexiconOptions,
): Promise<ResolvedLexicon> {
  const { resolver, fetch, allowHttp = false, signal } = options
  if (!isNsid(nsid)) throw new InvalidLexiconError(nsid.slice(0, 317), 'not an NSID')
  const init = signal === undefined ? {} : { signal }
  const did = await authorityOf(nsid, options)
  const { document } = await resolver.resolveDid(did, init)
  const key = getSigningKey(document)
  const pds = getPdsEndpoint(document, { allowHttp })
  if (key === undefined || pds === undefined) {
    throw new InvalidLexiconError(nsid, `authority has no usable key or PDS, did=${did}`)
  }
  const query = new URLSearchParams({ did, collection: COLLECTION, rkey: nsid })
  const response = await fetch(`${pds}/xrpc/com.atproto.sync.getRecord?${query.toString()}`, init)
  if (!response.ok) throw await readErrorResponse(response)
  const car = await collect(capped(response, nsid))
  const { bytes, rev } = verifyRecordProof(car, { did, key, path: `${COLLECTION}/${nsid}` })
  if (bytes === undefined) throw new InvalidLexiconError(nsid, `not published, did=${did}`)
  const record = toJson(decodeCbor(bytes)) as Readonly<Record<string, unknown>> | null
  if (record?.['id'] !== nsid || record['$type'] !== COLLECTION) {
    throw new InvalidLexiconError(nsid, `published under a name that is not its own, did=${did}`)
  }
  return { document: record, did, rev }
}

async function authorityOf(nsid: string, { resolveTxt }: ResolveLexiconOptions): Promise<string> {
  const authority = nsid.split('.').slice(0, -1).toReversed().join('.')
  const records = await lookUp(`_lexicon.${authority}`, resolveTxt)
  const dids = records
    .map((strings) => strings.join(''))
    .filter((text) => text.startsWith('did='))
    .map((text) => text.slice('did='.length))
  const [did] = dids
  if (did === undefined) throw new InvalidLexiconError(nsid, `no _lexicon record at ${authority}`)
  if (new Set(dids).size > 1) throw new InvalidLexiconError(nsid, `several DIDs at ${authority}`)
  return did
}

async function lookUp(
  name: string,
  resolveTxt: ResolveLexiconOptions['resolveTxt'],
): Promise<readonly (readonly string[])[]> {
  try {
    return await resolveTxt(name)
  } catch (error) {
    const { code } = error as { readonly code?: unknown }
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    throw error
  }
}

async function* capped(response: Response, nsid: string): AsyncGenerator<Uint8Array, void, void> {
  let length = 0
  if (response.body === null) return
  for await (const chunk of response.body) {
    length += chunk.length
    if (length > MAX_PROOF_BYTES) throw new InvalidLexiconError(nsid, 'proof is too long')
    yield chunk
  }
}
