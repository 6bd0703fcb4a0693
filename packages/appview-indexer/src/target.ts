/** Longest at-uri kept as a link target, in characters. The protocol's bound for at-uris is 8 KiB. */
export const MAX_URI_LENGTH = 8_192
/** Longest record key, in characters. */
export const MAX_RKEY_LENGTH = 512
/** Longest DID, in characters. */
export const MAX_DID_LENGTH = 2_048

const DID = /^did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]$/
const NSID =
  /^[A-Za-z](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+\.[A-Za-z](?:[A-Za-z0-9]{0,62})$/
const RKEY = /^[A-Za-z0-9_~.:-]{1,512}$/

/** The three parts of an at-uri that names a record of an account. */
export interface RecordUri {
  readonly did: string
  readonly collection: string
  readonly rkey: string
}

/** Whether the text is a DID. */
export function isDid(value: string): boolean {
  return value.length <= MAX_DID_LENGTH && DID.test(value)
}

/** Whether the text is an NSID, as collections are named. */
export function isNsid(value: string): boolean {
  return value.length <= 317 && NSID.test(value)
}

/** Whether the text is a record key. */
export function isRkey(value: string): boolean {
  return RKEY.test(value) && value !== '.' && value !== '..'
}

/** Writes the canonical at-uri. */
export function formatRecordUri(did: string, collection: string, rkey: string): string {
  return `at://${did}/${collection}/${rkey}`
}

/** The parts of an at-uri whose authority is a DID; undefined for anything else (handles, fragments, missing parts). */
export function parseRecordUri(value: string): RecordUri | undefined {
  if (value.length > MAX_URI_LENGTH || !value.startsWith('at://did:')) return undefined
  const first = value.indexOf('/', 5)
  if (first === -1) return undefined
  const second = value.indexOf('/', first + 1)
  if (second === -1) return undefined
  const did = value.slice(5, first)
  const collection = value.slice(first + 1, second)
  const rkey = value.slice(second + 1)
  if (!isDid(did) || !isNsid(collection) || !isRkey(rkey)) return undefined
  return { did, collection, rkey }
}

/** The DID of a DID or of an at-uri; undefined when it is neither. Handy in `notify`. */
export function didOf(subject: string | undefined): string | undefined {
  if (subject === undefined) return undefined
  if (subject.startsWith('did:')) return isDid(subject) ? subject : undefined
  return parseRecordUri(subject)?.did
}
