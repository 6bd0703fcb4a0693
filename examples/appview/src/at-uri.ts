/** Parts of an at-uri that names a record. */
export interface RecordUri {
  /** DID or handle. */
  readonly authority: string
  readonly collection: string
  readonly rkey: string
}

const RECORD_URI = /^at:\/\/([^/?#]+)\/([^/?#]+)\/([^/?#]+)$/

/** The parts of a record's at-uri; `undefined` for anything else. */
export function parseRecordUri(uri: string): RecordUri | undefined {
  const [, authority, collection, rkey] = RECORD_URI.exec(uri) ?? []
  if (authority === undefined || collection === undefined || rkey === undefined) return undefined
  return { authority, collection, rkey }
}

/** The authority of an at-uri, which in stored references is a DID. */
export function authorityOf(uri: string): string {
  const end = uri.indexOf('/', 'at://'.length)
  return uri.slice('at://'.length, end === -1 ? undefined : end)
}

/** The at-uri of an account's profile record. */
export function profileUri(did: string): string {
  return `at://${did}/app.bsky.actor.profile/self`
}
