/**
 * A label: somebody's statement about an account, a record, or one version of a record.
 *
 * @see {@link https://atproto.com/specs/label#schema-and-data-model}
 */
export interface Label {
  readonly ver: 1
  /** DID of the labeler. */
  readonly src: string
  /** What it is about: an `at://` URI, or a DID for an account. */
  readonly uri: string
  /** The one version it is about. */
  readonly cid?: string
  /** At most 128 bytes. */
  readonly val: string
  /** `true` takes an earlier label back. */
  readonly neg?: boolean
  /** When it was made. */
  readonly cts: string
  /** When it ends. */
  readonly exp?: string
}

/** A label with its signature. */
export interface SignedLabel extends Label {
  readonly sig: Uint8Array
}

/** Longest `val`, in bytes ({@link https://atproto.com/specs/label#schema-and-data-model}). */
export const MAX_LABEL_VALUE_BYTES = 128
/** Longest `uri`, in bytes. */
const MAX_URI_BYTES = 8_192
/** Longest timestamp and CID text. */
const MAX_SHORT_BYTES = 256

const DATETIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)$/
const encoder: TextEncoder = new TextEncoder()

/**
 * Reads a label of the wire: fields of the schema only, everything else is dropped, for it is not signed.
 *
 * @returns the label, or the name of the first field that is wrong.
 */
export function readLabel(value: unknown): SignedLabel | { readonly wrong: string } {
  if (value === null || typeof value !== 'object') return { wrong: 'label' }
  // Each field is checked below.
  const raw = value as Readonly<Record<string, unknown>>
  const { ver, src, uri, cid, val, neg, cts, exp, sig } = raw
  if (ver !== 1) return { wrong: 'ver' }
  if (!isText(src, MAX_SHORT_BYTES) || !src.startsWith('did:')) return { wrong: 'src' }
  if (!isText(uri, MAX_URI_BYTES)) return { wrong: 'uri' }
  if (cid !== undefined && !isText(cid, MAX_SHORT_BYTES)) return { wrong: 'cid' }
  if (!isText(val, MAX_LABEL_VALUE_BYTES)) return { wrong: 'val' }
  if (neg !== undefined && typeof neg !== 'boolean') return { wrong: 'neg' }
  if (!isText(cts, MAX_SHORT_BYTES) || !DATETIME.test(cts)) return { wrong: 'cts' }
  if (exp !== undefined && (!isText(exp, MAX_SHORT_BYTES) || !DATETIME.test(exp))) {
    return { wrong: 'exp' }
  }
  if (!(sig instanceof Uint8Array)) return { wrong: 'sig' }
  return {
    ver,
    src,
    uri,
    ...(cid === undefined ? {} : { cid }),
    val,
    ...(neg === undefined ? {} : { neg }),
    cts,
    ...(exp === undefined ? {} : { exp }),
    sig,
  }
}

function isText(value: unknown, maxBytes: number): value is string {
  if (typeof value !== 'string' || value === '' || value.length > maxBytes) return false
  return value.length * 3 <= maxBytes || encoder.encode(value).length <= maxBytes
}

/** What a label is about, as a key: two labels with the same key are about the same statement. */
export function labelKey({ src, uri, val, cid }: Label): string {
  return [src, uri, val, cid ?? ''].join(' ')
}

/**
 * Keeps of each statement the label made last, and tells which hold. Order of arrival does not matter.
 *
 * @see {@link https://atproto.com/specs/label#label-lifecycle}
 */
export class LabelState<L extends Label = Label> {
  private readonly newest = new Map<string, L>()

  /** @returns whether the label is newer than what was known of the statement. */
  apply(label: L): boolean {
    const key = labelKey(label)
    const before = this.newest.get(key)
    if (before !== undefined && Date.parse(before.cts) >= Date.parse(label.cts)) return false
    this.newest.set(key, label)
    return true
  }

  /** Every newest label, taken back and expired ones too: what a labeler sends again. */
  all(): Iterable<L> {
    return this.newest.values()
  }

  /** Labels that hold at a moment, of one subject or of all. */
  *active(nowMs: number, uri?: string): Generator<L, void, void> {
    for (const label of this.newest.values()) {
      if (label.neg === true || (uri !== undefined && label.uri !== uri)) continue
      if (label.exp !== undefined && Date.parse(label.exp) <= nowMs) continue
      yield label
    }
  }
}
